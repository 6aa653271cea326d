"""CuPy's ElementwiseKernel on a CPU: its CUDA C++ compiled by the machine's own compiler, to test it without a GPU.

A warp is what 32 values of i make, one after the other. What they vote is known when all of them have run, so all run
twice, and see the votes the second time.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

COMPILER = shutil.which("c++")
TYPES = {"uint32": "unsigned int", "int32": "int"}
WARP = """
#include <cstddef>
static unsigned int votes[1024], vote, lane, again;
static unsigned int __ballot_sync(unsigned int, bool yes) {
    votes[vote] = (again || lane ? votes[vote] : 0) | (unsigned int)yes << lane;
    return votes[vote++];
}
"""
RUN = """
extern "C" void run(%s, long size) {
    for (long warp = 0; warp < size; warp += 32)
        for (again = 0; again < 2; ++again)
            for (lane = 0; lane < 32 && warp + lane < size; ++lane) {
                const long i = warp + lane;
                vote = 0;
                %s
            }
}
"""


class ElementwiseKernel:
    """A kernel of raw arrays and 32-bit integers, of which one type T is float or double."""

    def __init__(self, given: str, returned: str, code: str, name: str) -> None:
        self._parameters = [parameter.split() for parameter in f"{given}, {returned}".split(",")]
        self._code, self.__name__ = code, name

    def __call__(self, *arguments: Any, size: int) -> None:
        given = zip(arguments, self._parameters, strict=True)
        raw = [(argument, parameter[1]) for argument, parameter in given if parameter[0] == "raw"]
        (dtype,) = {array.dtype for array, kind in raw if kind == "T"}
        for array, kind in raw:
            assert array.flags.c_contiguous
            assert array.dtype == (dtype if kind == "T" else kind)
        assert "__ballot_sync" not in self._code or size % 32 == 0, "the last warp would not be whole"
        numbers = [argument.ctypes.data_as(ctypes.c_void_p) if isinstance(argument, np.ndarray)
                   else ctypes.c_int(argument) for argument in arguments]
        _compiled(self._source({"float32": "float", "float64": "double"}[dtype.name]))(*numbers, ctypes.c_long(size))

    def _source(self, T: str) -> str:
        types = {**TYPES, "T": T}
        signature = ", ".join(f"{types[kind[-2]]}{'*' * (len(kind) - 2)} {kind[-1]}" for kind in self._parameters)
        return f"typedef {T} T;{WARP}{RUN % (signature, self._code)}"


@functools.cache
def _compiled(source: str) -> Any:
    assert COMPILER is not None
    folder = Path(_folder().name) / hashlib.md5(source.encode()).hexdigest()
    folder.with_suffix(".cpp").write_text(source)
    library = folder.with_suffix(".so")
    subprocess.run([COMPILER, "-O2", "-w", "-shared", "-fPIC", folder.with_suffix(".cpp"), "-o", library], check=True)
    return ctypes.CDLL(str(library)).run


@functools.cache
def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="nst_np-kernels-")
