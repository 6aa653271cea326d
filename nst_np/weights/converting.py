"""Convert weights of any format to the project's own."""

from __future__ import annotations

from pathlib import Path

from nst_np.errors import WeightsError
from nst_np.weights.native import save_weights
from nst_np.weights.reading import read_weights
from nst_np.weights.vgg_weights import VGGWeights


def convert_weights(
    source: str | Path, destination: str | Path, *, architecture: str | None = None, convention: str = "auto"
) -> VGGWeights:
    """Read `source` as `read_weights` does, write it to `destination` as `save_weights` does, and return it.

    Raises
    ------
    WeightsError
        If `source` cannot be read, `destination` cannot be written, or both are the same file.
    """
    source, destination = Path(source), Path(destination)
    weights = read_weights(source, architecture, convention)
    if destination.exists() and destination.samefile(source):
        raise WeightsError(f"{destination} is the file to convert, expected another name for the result")
    save_weights(destination, weights)
    return weights
