"""An array module that refuses NumPy arrays, to find on any machine what would fail or slow down on a GPU.

It computes with NumPy, but its arrays mix with nothing else: not with a `numpy.ndarray`, not with a NumPy scalar, and
they convert to one only by `get()`, as CuPy's do.
"""

from __future__ import annotations

import operator
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests import cuda_on_cpu

FUNCTIONS = (
    "abs", "arange", "argsort", "concatenate", "dot", "empty", "empty_like", "eye", "matmul", "maximum", "mean",
    "minimum", "multiply", "ones", "packbits", "pad", "sign", "sqrt", "subtract", "sum", "trace", "unpackbits", "where",
    "zeros", "zeros_like",
)  # fmt: skip
METHODS = ("argmax", "argmin", "astype", "clip", "conj", "copy", "max", "mean", "ravel", "reshape", "sort", "sum",
           "swapaxes", "transpose", "view")
SCALARS = (bool, int, float, complex)


class StrictArray:
    """A device array: holds `host`, gives it only to `get()`."""

    __array_ufunc__ = None  # numpy.ndarray's operators then leave the operation to this class, which refuses

    def __init__(self, host: np.ndarray) -> None:
        self._host = np.asarray(host)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("implicit conversion of a device array to NumPy; use backend.to_host")

    def get(self) -> np.ndarray:
        return self._host.copy()

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Any) -> StrictArray:
        return wrap(self._host[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[unwrap(key)] = unwrap(value)

    def __float__(self) -> float:
        return float(self._host)

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "strides", "dtype", "size", "itemsize", "ndim", "nbytes"):
            return getattr(self._host, name)
        if name in ("T", "real", "imag"):
            return wrap(getattr(self._host, name))
        if name in METHODS:
            method = getattr(self._host, name)
            if name == "max":
                return lambda: wrap(method())  # CuPy's has no `initial`
            return lambda *args, **kwargs: wrap(method(*args, **kwargs))
        raise AttributeError(name)


def unwrap(value: Any) -> Any:
    """What a strict function may be given, as NumPy sees it; a host array is refused."""
    if isinstance(value, StrictArray):
        return value._host
    if isinstance(value, (tuple, list)):
        return type(value)(unwrap(item) for item in value)
    if isinstance(value, (np.ndarray, np.generic)) or (isinstance(value, SCALARS) and type(value) not in SCALARS):
        raise TypeError(f"a NumPy {type(value).__name__} met a device array")
    return value


def wrap(value: Any) -> Any:
    return StrictArray(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _operator(function: Any, swapped: bool = False) -> Any:
    def method(self: StrictArray, other: Any) -> StrictArray:
        a, b = (unwrap(other), self._host) if swapped else (self._host, unwrap(other))
        return wrap(function(a, b))

    return method


def _in_place(function: Any) -> Any:
    def method(self: StrictArray, other: Any) -> StrictArray:
        result = function(self._host, unwrap(other))
        assert result is self._host
        return self

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul", "eq", "lt", "gt", "le", "ge", "and", "xor", "rshift"):
    setattr(StrictArray, f"__{_name}__", _operator(getattr(operator, f"__{_name}__")))
for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(StrictArray, f"__r{_name}__", _operator(getattr(operator, _name), swapped=True))
for _name in ("iadd", "isub", "imul", "itruediv", "iand", "ior", "ilshift"):
    setattr(StrictArray, f"__{_name}__", _in_place(getattr(operator, _name)))
StrictArray.__neg__ = lambda self: wrap(-self._host)  # type: ignore[attr-defined]


def _as_strided(array: StrictArray, shape: Any, strides: Any) -> StrictArray:
    return wrap(np.lib.stride_tricks.as_strided(array._host, shape, strides))


def _elementwise_kernel(*text: str) -> Any:
    """A kernel of device arrays and Python's numbers alone."""
    kernel = cuda_on_cpu.ElementwiseKernel(*text)
    return lambda *given, size: kernel(*unwrap(given), size=size)


class StrictModule:
    """The functions of CuPy that nst_np uses, no more."""

    def __init__(self) -> None:
        self.current_device = 0
        self.cuda = SimpleNamespace(Device=lambda index: SimpleNamespace(use=lambda: self._use(index)))

    def _use(self, index: int) -> None:
        self.current_device = index

    linalg = SimpleNamespace(eigh=lambda array: tuple(map(wrap, np.linalg.eigh(unwrap(array)))))
    ElementwiseKernel = staticmethod(_elementwise_kernel)
    lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))

    def __getattr__(self, name: str) -> Any:
        if name not in FUNCTIONS:
            raise AttributeError(f"the strict array module has no {name}; add it if CuPy has it with this meaning")
        function = getattr(np, name)

        def strict(*args: Any, **kwargs: Any) -> Any:
            if name == "matmul" and len(args) > 2:
                raise TypeError("CuPy's matmul takes `out` by its name only")
            result = function(*unwrap(args), **{key: unwrap(value) for key, value in kwargs.items()})
            return kwargs["out"] if kwargs.get("out") is not None else wrap(result)

        return strict

    def asarray(self, value: Any, dtype: Any = None) -> StrictArray:
        """The one way onto the device."""
        return StrictArray(np.array(value._host if isinstance(value, StrictArray) else value, dtype=dtype))

    def ascontiguousarray(self, value: StrictArray) -> StrictArray:
        return StrictArray(np.ascontiguousarray(unwrap(value)))
