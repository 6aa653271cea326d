"""Run nst_np from a checkout, installed or not; see --help."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from nst_np.cli import explain_main

sys.exit(explain_main())
