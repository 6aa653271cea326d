"""Mark an exercise of docs/exercises; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs" / "exercises"))
from grading.cli import main

sys.exit(main())
