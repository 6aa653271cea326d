"""The type of arrays, in annotations."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

#: An array of NumPy; or of CuPy, whose arrays have the same methods. Which is known when a program runs, and shapes and
#: dtypes are in docstrings: type checkers see that it is an array, and not a module, a number or None.
Array = npt.NDArray[Any]
