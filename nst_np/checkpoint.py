"""Stop and go on: all that a run needs to go on from one of its steps to the same bits, in one file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import scipy

from nst_np.backend import Backend
from nst_np.canvas import Pixels
from nst_np.config import LONG, WRITES, Config, format_option, option_names
from nst_np.config_files import format_config, parse_config
from nst_np.errors import InputError
from nst_np.files import check_can_write, open_file, replacing
from nst_np.network import FeatureNetwork
from nst_np.optimize import State
from nst_np.version import VERSION

#: Settings that may differ: where things go, how fast, and names of what is compared itself, by `Checkpoint.inputs`.
FREE = (*WRITES, "settings", "memory", "scheduler", "threads", "device", "network", "weights", "weights_format",
        "content", "style", "content_regions", "style_regions", "keep", "strength", "init")

Say = Callable[[str], None]


@dataclass
class Checkpoint:
    """A run at one of its steps.

    Attributes
    ----------
    config : its settings.
    inputs : what else it depends on (`inputs_of`).
    stage : the index in `nst_np.forecast.Plan.schedule` of what is worked on.
    start : (H, W, 3) float32, the canvas that the stage began with.
    state : of the optimiser there (`nst_np.optimize.Minimization.saved`), and ``drawn_x``, where random places were
        drawn again; empty at the beginning of the stage, and once it has been `taken`.
    done, nfev, seconds, history : as `nst_np.StylizeResult` has them.
    command : the command line, if it was one.
    frames : iteration, seconds and JPEG of each picture that is kept for a report.
    path : where it was read.
    """

    config: Config
    inputs: Mapping[str, Any]
    stage: int
    start: Pixels
    state: State
    done: int
    nfev: int
    seconds: float
    history: list[dict[str, float]]
    command: str | None = None
    frames: Sequence[tuple[int, float, bytes]] = field(default=(), repr=False)
    path: str = ""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, an .npz of NumPy's, at once: what was there stays until all of it is there.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        arrays = {name: value for name, value in self.state.items() if getattr(value, "ndim", 0)}
        about = {
            "version": VERSION, "settings": format_config(self.config), "inputs": self.inputs, "stage": self.stage,
            "done": self.done, "nfev": self.nfev, "seconds": self.seconds, "history": self.history,
            "command": self.command, "state": {name: self.state[name] for name in self.state if name not in arrays},
            "frames": [(iteration, seconds, len(jpeg)) for iteration, seconds, jpeg in self.frames],
        }
        members: dict[str, Any] = {f"state {name}": Backend.to_host(value) for name, value in arrays.items()}
        members |= {"about": _bytes(json.dumps(about).encode()), "start": self.start,
                    "frames": _bytes(b"".join(jpeg for *_, jpeg in self.frames))}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **members)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read a file that `save` wrote.

        Raises
        ------
        InputError
            If it cannot be read, is no such file, or is of another version of nst_np.
        """
        name = os.fspath(path)
        try:
            with open_file(path) as file, np.load(file, allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                if about["version"] == VERSION:
                    return cls._of(about, arrays, name)
        except OSError as error:
            raise InputError(f"checkpoint {name!r} cannot be read: {error.strerror or error}") from error
        except Exception as error:  # whatever a file that is none leads to
            raise InputError(f"checkpoint {name!r} is no checkpoint of nst_np, or a damaged one") from error
        raise InputError(f"checkpoint {name!r} is of nst_np {about['version']}, and this is {VERSION}, which may go on "
                         "to other bits; expected the same version")

    @classmethod
    def _of(cls, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: str) -> Checkpoint:
        """From what a file holds."""
        state = dict(about["state"])
        state |= {name.removeprefix("state "): arrays[name] for name in arrays if name.startswith("state ")}
        jpegs, frames, end = arrays["frames"].tobytes(), [], 0
        for iteration, seconds, length in about["frames"]:
            if about["history"] and iteration <= about["done"]:
                frames.append((iteration, seconds, jpegs[end : end + length]))
            end += length
        return cls(Config(**parse_config(about["settings"], "settings")), about["inputs"], about["stage"],
                   arrays["start"], state, about["done"], about["nfev"], about["seconds"], about["history"],
                   about["command"], frames, path)

    @property
    def nbytes(self) -> int:
        """Of memory that the arrays of the state take."""
        return sum(value.nbytes for value in self.state.values() if isinstance(value, np.ndarray))

    def taken(self) -> State:
        """The state, which is the caller's from here on: an optimiser works on some of its arrays in place."""
        state, self.state = self.state, {}
        return state

    def check_settings(self, config: Config) -> None:
        """Raise an `InputError` that names a setting of another run."""
        for name in option_names():
            old, new = getattr(self.config, name), getattr(config, name)
            if name not in FREE and old != new:
                raise InputError(f"checkpoint {self.path!r} is of a run with {name} {format_option(old) or 'not set'}, "
                                 f"not {format_option(new) or 'not set'}; expected the same")

    def check_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Raise an `InputError` that names what is not what the run began with."""
        for name, now in inputs.items():
            before = self.inputs.get(name)
            if before != now:
                which = "" if name in IMAGES else f": {before} before, {now} now"
                raise InputError(f"checkpoint {self.path!r}: the {name} of this run and of that one differ{which}; "
                                 "expected the same")


IMAGES = ("content image", "style images", "initial image", "maps and masks")


def inputs_of(network: FeatureNetwork, *inputs: Sequence[np.ndarray | None]) -> dict[str, Any]:
    """What a run depends on beside its settings: by digests of its images, each of IMAGES as one array or several."""
    found: dict[str, Any] = {}
    for name, arrays in zip(IMAGES, inputs, strict=True):
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(repr(None if array is None else (array.shape, array.dtype.str)).encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array).data)
        found[name] = digest.hexdigest()
    # Other libraries may round differently, and SciPy's L-BFGS-B arrange its arrays differently.
    return {**found, "network": network.name, "weights": network.checksum, "device": network.backend.device,
            "libraries": f"NumPy {np.__version__}, SciPy {scipy.__version__}"}


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


# --- keeping one ------------------------------------------------------------------------------------------------------


class Run(Protocol):
    """What a checkpoint is taken of: `nst_np.Steps`."""

    foretold: float | None

    def checkpoint(self) -> Checkpoint:
        """At the latest step."""


class Keeper:
    """Keeps the checkpoint of a run in a file, which it replaces every so many minutes.

    If the file cannot be written (a full disk), that is said, and no reason to lose the run.

    Parameters
    ----------
    path : the file, which must be new, or `resumed`. None for none, unless the run is `LONG` and there is a `fallback`.
    minutes : from one time to the next; 0 for never.
    say : called with lines for people.
    resumed : the file that the run goes on from.
    fallback : the file of a run that is foretold to take more than `LONG` seconds.

    Raises
    ------
    InputError
        If the file exists, or cannot be written; of `fallback` when the run begins.
    """

    def __init__(self, path: str | os.PathLike[str] | None, minutes: float, say: Say, *,
                 resumed: str | os.PathLike[str] | None = None, fallback: str | os.PathLike[str] | None = None) -> None:
        if not 0 <= minutes < math.inf:
            raise InputError(f"checkpoint_every must be a number of minutes of at least 0, not {minutes}")
        self._minutes, self._say, self._fallback = minutes, say, fallback
        self._resumed = None if resumed is None else Path(resumed)
        self._saved: float | None = None  # when, by the clock
        self._gave_up = False
        self.path = None if minutes == 0 else self._new(path) or self._resumed

    def _new(self, path: str | os.PathLike[str] | None) -> Path | None:
        """A path that may be written to."""
        if path is None:
            return None
        try:
            if Path(path).exists() and not (self._resumed is not None and self._resumed.samefile(path)):
                raise InputError(f"checkpoint {os.fspath(path)!r} exists; expected a new file, or --resume "
                                 f"{os.fspath(path)} (resume=) to go on from there")
            check_can_write(path)
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"checkpoint {os.fspath(path)!r} cannot be written: {reason}") from error
        return Path(path)

    def __call__(self, run: Run, also: Callable[[], Mapping[str, Any]] = dict) -> None:
        """After a step: save a checkpoint if it is time, with what `also` gives of its attributes."""
        if self._saved is None:
            self._begin(run.foretold)
        elif self.path is not None and not self._gave_up and time.monotonic() - self._saved >= 60 * self._minutes:
            try:
                replace(run.checkpoint(), **also()).save(self.path)
            except OSError as error:
                self._gave_up = True
                self._say(f"checkpoint {str(self.path)!r} cannot be written: {error.strerror or error}; the run goes "
                          "on without")
            self._saved = time.monotonic()

    def _begin(self, foretold: float | None) -> None:
        self._saved = time.monotonic()
        if self.path is None and self._minutes > 0 and self._fallback is not None and (foretold or 0) > LONG:
            self.path = self._new(self._fallback)
            self._say(f"every {self._minutes:g} minutes a checkpoint goes to {str(self.path)!r}, until the picture is "
                      f"there; --resume {self.path} goes on from it")

    def end(self, *, is_done: bool) -> None:
        """Remove the file if the run is done; else say that it is there, if it is."""
        if self.path is None or not self.path.exists():
            return
        if is_done:
            with contextlib.suppress(OSError):
                self.path.unlink()
        else:
            self._say(f"--resume {self.path} goes on from the latest checkpoint")
