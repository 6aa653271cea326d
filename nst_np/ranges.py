"""What the values of an image may be: 0–255, as everybody who gives one is told in the same words."""

from __future__ import annotations

from typing import Any

from nst_np.errors import InputError

SLACK = 64  # by which they may leave 0–255: pictures that were resized or painted do, until they are rounded


def check_range(image: Any, name: str) -> None:
    """Refuse an image whose values are not 0–255, and say what would make them so.

    Parameters
    ----------
    image : an array of numbers, of NumPy or CuPy.
    name : what it is called.

    Raises
    ------
    InputError
    """
    low, high = float(image.min()), float(image.max())
    expected = f"{name} must have values of 0–255, not {low:.6g} to {high:.6g}"
    if image.dtype.kind == "f" and -0.5 < low and 0 < high < 1.5:
        raise InputError(f"{expected}: multiply it by 255")
    if image.dtype.kind == "f" and -1.5 < low < 0 and high < 1.5:
        raise InputError(f"{expected}: add 1 and multiply it by 127.5")
    if image.dtype.kind == "u" and high > 255:
        raise InputError(f"{expected}: multiply it by 255 / {2 ** (8 * image.dtype.itemsize) - 1}")
    if not (-SLACK <= low and high <= 255 + SLACK):  # NaN is neither
        raise InputError(expected)
