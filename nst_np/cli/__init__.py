"""The command lines: arguments and config file into a `Config`, exit codes, and everything that is printed."""

from nst_np.cli.batch import batch_main
from nst_np.cli.experiment import experiment_main
from nst_np.cli.explain import explain_main
from nst_np.cli.gradcheck import gradcheck_main
from nst_np.cli.reconstruct import reconstruct_main
from nst_np.cli.stylize import main
from nst_np.cli.weights import convert_weights_main, fetch_weights_main

__all__ = ["batch_main", "convert_weights_main", "experiment_main", "explain_main", "fetch_weights_main",
           "gradcheck_main", "main", "reconstruct_main"]
