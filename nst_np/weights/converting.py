"""Convert weights of any format to the project's own."""

from __future__ import annotations

from pathlib import Path

from nst_np.errors import WeightsError
from nst_np.weights.compact import BITS, save_compact
from nst_np.weights.native import save_weights
from nst_np.weights.reading import read_weights
from nst_np.weights.vgg_weights import VGGWeights


def convert_weights(
    source: str | Path,
    destination: str | Path,
    *,
    architecture: str | None = None,
    weights_format: str = "auto",
    bits: int | None = None,
) -> VGGWeights:
    """Read `source` as `read_weights` does, write it to `destination`, and return what was read.

    With `bits`, which must be 8, the file is compact (`save_compact`); without, it is exact (`save_weights`).

    Raises
    ------
    WeightsError
        If `source` cannot be read or is compact itself, `destination` cannot be written, or both are the same file.
    """
    source, destination = Path(source), Path(destination)
    if bits not in (None, BITS):
        raise WeightsError(f"bits is {bits}, expected {BITS}, or none for exact weights")
    weights = read_weights(source, architecture, weights_format)
    if weights.is_compact:
        raise WeightsError(f"{source} is compact: its kernels are rounded already, expected a file of exact weights")
    if destination.exists() and destination.samefile(source):
        raise WeightsError(f"{destination} is the file to convert, expected another name for the result")
    if bits is None:
        save_weights(destination, weights)
    else:
        save_compact(destination, weights)
    return weights
