"""Where arrays live: the array module, the device and the precision, chosen once and passed on.

This is the only module that imports CuPy, and it does so only when a GPU is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from nst_np.arrays import Array
from nst_np.engine import Engine, gpu, make_engine, readable_engine
from nst_np.errors import DeviceError, InputError
from nst_np.extras import pip_install

_INSTALL = f"install CuPy and what it needs of CUDA with: {pip_install('gpu-cuda12')} (or gpu-cuda13)"


@dataclass(frozen=True)
class Backend:
    """The array module and what every array of a network has in common.

    Attributes
    ----------
    xp : the array module, NumPy or CuPy.
    device : ``"cpu"`` or ``"gpu:N"``.
    dtype : float32 or float64, of every feature, loss gradient and weight.
    engine : fast versions of layers and products for this array module.
    """

    xp: Any
    device: str
    dtype: np.dtype[Any]
    engine: Engine

    def asarray(self, array: Any) -> Array:
        """`array` on the device, in the backend's precision, C-contiguous.

        A GPU becomes the current device of the calling thread, as each thread has one of its own: every evaluation
        begins here.
        """
        if self.device != "cpu":
            self.xp.cuda.Device(int(self.device.removeprefix("gpu:"))).use()
        return self.xp.ascontiguousarray(self.xp.asarray(array, dtype=self.dtype))

    def sparse_product(self, matrix: Any, X: Array) -> Array:
        """A sparse matrix (n, m) of SciPy's, on the host, in rows, times an array (m, N)."""
        product: Array = matrix @ X if self.device == "cpu" else gpu.sparse_product(self.xp, matrix, X)
        return product

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it is made anew, as what its engine is made of stays where it is."""
        return partial(_made_anew, self.device, self.dtype.name, self.engine.threads, bool(self.engine.layers)), ()

    @staticmethod
    def to_host(array: Array) -> np.ndarray:
        """`array` as a NumPy array."""
        return array.get() if hasattr(array, "get") else np.asarray(array)


def make_backend(device: str = "auto", dtype: str = "float32", *, threads: int | None = None, fast: bool = True,
                 say: Callable[[str], None] = lambda line: None) -> Backend:
    """Choose the array module.

    Parameters
    ----------
    device : ``"cpu"``, ``"gpu"``, ``"gpu:N"``, or ``"auto"`` for the first GPU that CuPy can use, else the CPU.
    dtype : ``"float32"`` or ``"float64"``.
    threads : CPU threads; by default as many as `cpu_threads` says.
    fast : use the fast version of a layer where there is one, else the readable one everywhere.
    say : is told why ``"auto"`` does not use a GPU that is there.

    Raises
    ------
    DeviceError
        If the device cannot be had: no CuPy, no such GPU.
    InputError
        If `dtype` is another one.
    """
    if str(dtype) not in ("float32", "float64"):
        raise InputError(f"dtype must be float32 or float64, not {dtype!r}")
    kind, colon, index = device.partition(":")
    if kind not in ("auto", "cpu", "gpu") or (colon and (kind != "gpu" or not index.isdecimal())):
        raise DeviceError(f"device must be 'auto', 'cpu', 'gpu' or 'gpu:N', not {device!r}")
    xp, name = np, "cpu"
    if kind == "gpu" or (kind == "auto" and _has_gpu()):
        try:
            xp, name = _cupy_on(int(index or 0)), f"gpu:{int(index or 0)}"
        except DeviceError as error:
            if kind == "gpu":
                raise
            say(f"{error}; using the CPU")
    engine = make_engine(xp, cpu_threads(threads)) if fast else readable_engine()
    return Backend(xp, name, np.dtype(dtype), engine)


def cpu_threads(requested: int | None = None) -> int:
    """Threads to use: `requested`, else the environment variable NST_NP_THREADS, else all cores of this process."""
    if requested is not None:
        return requested
    text = os.environ.get("NST_NP_THREADS", "")
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"NST_NP_THREADS must be a whole number of at least 1, not {text!r}")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _made_anew(device: str, dtype: str, threads: int, fast: bool) -> Backend:
    """The backend in another process, with as many threads as the environment says there, if it does."""
    return make_backend(device, dtype, threads=None if "NST_NP_THREADS" in os.environ else threads, fast=fast)


def _has_gpu() -> bool:
    try:
        import cupy

        return bool(cupy.cuda.runtime.getDeviceCount() > 0)
    except Exception:  # no CuPy, no driver: whatever the reason, 'auto' means the CPU then
        return False


def _cupy_on(index: int) -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(f"device 'gpu:{index}' needs CuPy, which cannot be imported ({error}); {_INSTALL}") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # no driver, or one that is too old
        raise DeviceError(f"device 'gpu:{index}' cannot be used: {_reason(error)}") from error
    if index >= count:
        raise DeviceError(f"device 'gpu:{index}' does not exist: this machine has {count} usable GPU(s)")
    try:
        cupy.cuda.Device(index).use()
        ones = cupy.ones((2, 2))
        float((ones @ ones).sum())  # a kernel to be compiled, and a product for BLAS
    except Exception as error:  # where parts of CUDA are missing CuPy raises nearly anything
        raise DeviceError(f"device 'gpu:{index}' cannot be used: {_reason(error)}; {_INSTALL}") from error
    return cupy


def _reason(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
