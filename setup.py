"""Entry for tools that call setup.py by name; all metadata is in pyproject.toml. Its presence marks a checkout."""

from setuptools import setup

setup()
