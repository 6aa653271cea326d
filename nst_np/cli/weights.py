"""`scripts/fetch_weights.py` and `scripts/convert_weights.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nst_np.cli.console import DONE, guarded, write_out
from nst_np.cli.parsing import Parser


def fetch_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/fetch_weights.py [vgg19|vgg16]`: download VGG weights."""
    parser = Parser(prog="fetch_weights.py", allow_abbrev=False,
                     description="Download VGG weights (57–77 MB), with checksum, to where nst_np looks for them.")
    parser.add_argument("architecture", nargs="?", default="vgg19", help="vgg19 or vgg16 (default: vgg19)")

    def fetch(options: argparse.Namespace) -> int:
        from nst_np.weights import fetch_weights

        write_out(f"{fetch_weights(options.architecture, progress=True)}\n")
        return DONE

    return guarded(parser, arguments, fetch)


def convert_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`scripts/convert_weights.py SOURCE DESTINATION`: any readable weights file to the project's own format."""
    parser = Parser(prog="convert_weights.py", allow_abbrev=False,
                     description="Write any VGG weights that nst_np can read (Keras .h5, MatConvNet .mat, "
                                 "PyTorch .pth, .safetensors) in its own format.")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION", help="the .h5 file to write")
    parser.add_argument("--convention", default="auto", metavar="NAME",
                        help="pre-processing of a PyTorch file: torchvision, caffe or auto (default: auto)")

    def convert(options: argparse.Namespace) -> int:
        from nst_np.weights import convert_weights

        weights = convert_weights(options.source, options.destination, convention=options.convention)
        write_out(f"{options.destination}: {weights.describe()}\n")
        return DONE

    return guarded(parser, arguments, convert)
