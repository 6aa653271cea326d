"""Marks the exercises: `scripts/grade.py` runs `cli.py`, which runs `marking.py` in a process of its own."""
