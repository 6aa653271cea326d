"""The exceptions of nst_np, each a subclass of the built-in one it refines.

A message is one line that names the argument, what was expected and what came. The command line turns an
`InputError` into exit code 2 and any other `NSTError` into exit code 1.
"""

from typing import Any


class NSTError(Exception):
    """Base of every error that nst_np raises on purpose."""

    def __str__(self) -> str:
        """The message on one line, where what a file put into it cannot act on a terminal: as escapes."""
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in super().__str__())


class InputError(NSTError, ValueError):
    """Something the user gave cannot be used: a value, an option, a size, a layer name."""


class SizeError(InputError):
    """An image that is too small for the layers that look at it."""


class ImageError(InputError):
    """An image file that cannot be read or written."""


class WeightsError(InputError):
    """A weights file that is missing, truncated, corrupt or of another architecture."""


class DownloadError(WeightsError):
    """Weights that could not be fetched from any mirror."""


class DeviceError(InputError):
    """A device that this machine does not have."""


class NumericalError(NSTError, ArithmeticError):
    """NaN or infinity in a loss or a gradient.

    Attributes
    ----------
    result : the `nst_np.StylizeResult` of the last good image, when `nst_np.stylize` raises it; else None.
    """

    result: Any = None
