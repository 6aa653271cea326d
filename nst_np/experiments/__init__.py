"""Experiments: sweeps over settings and images, done run by run in processes of their own, and what they show."""

from nst_np.experiments.grid import Grid, Run, expand
from nst_np.experiments.sweep import Sweep, axis_of, load_sweep, parse_sweep, shared, sweep_names

__all__ = ["Grid", "Run", "Sweep", "axis_of", "expand", "load_sweep", "parse_sweep", "shared", "sweep_names"]
