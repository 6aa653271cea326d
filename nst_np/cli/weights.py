"""`nst-np-fetch` and `nst-np-convert`, which are `scripts/fetch_weights.py` and `scripts/convert_weights.py`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nst_np.cli.console import DONE, guarded, write_out
from nst_np.cli.parsing import Parser
from nst_np.config import Config


def fetch_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-fetch [vgg19|vgg16]`: download VGG weights."""
    parser = Parser(prog="nst-np-fetch", allow_abbrev=False,
                     description="Download exact VGG weights (57–77 MB), verified, to where nst_np looks for them, "
                                 "and print the path.")
    parser.add_argument("architecture", nargs="?", default="vgg19", help="vgg19 or vgg16 (default: vgg19)")

    def fetch(options: argparse.Namespace) -> int:
        from nst_np.weights import fetch_weights

        write_out(f"{fetch_weights(options.architecture, progress=True)}\n")
        return DONE

    return guarded(parser, arguments, fetch)


def convert_weights_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-convert SOURCE DESTINATION`: any readable weights file to one of the project's own formats."""
    parser = Parser(prog="nst-np-convert", allow_abbrev=False,
                     description="Write any VGG weights that nst_np can read (Keras .h5, MatConvNet .mat, "
                                 "PyTorch .pth, .safetensors) in a format of its own.")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("destination", metavar="DESTINATION", help="the .h5 file to write; with --bits the .npz file")
    parser.add_argument("--bits", type=int, metavar="8",
                        help="write the compact format, with kernels rounded to 8 bits: a quarter of the size or less")
    parser.add_argument("--weights-format", "--convention", default=Config.weights_format, metavar="NAME",
                        help="what a PyTorch file was trained for: torchvision, caffe or auto (default: auto)")

    def convert(options: argparse.Namespace) -> int:
        from nst_np.weights import convert_weights

        weights = convert_weights(options.source, options.destination, weights_format=options.weights_format,
                                  bits=options.bits)
        write_out(f"{options.destination}: {weights.describe()}\n")
        return DONE

    return guarded(parser, arguments, convert)
