"""An executor that does each call in a process of its own."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

# With the modules of the process that starts it, and without a look at what happens to lie in the current folder.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from nst_np.experiments.processes import serve; serve()"


class Processes(ThreadPoolExecutor):
    """Do each call in a new process, `max_workers` at a time.

    What a call takes is given back when it ends. A process that dies (killed where memory runs out, say) fails its own
    call alone, where a `ProcessPoolExecutor` would break for all; its future raises a `RuntimeError` that says how it
    died. A script needs no ``if __name__ == "__main__"``.
    """

    def __init__(self, max_workers: int) -> None:
        super().__init__(max_workers)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function that pickles, with arguments that do, as soon as a process is free."""
        return super().submit(self._call, pickle.dumps(functools.partial(fn, *args, **kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. With `cancel_futures`, also end the processes that still run."""
        if cancel_futures:
            with self._lock:
                self._stopped = True
                for process in self._running:
                    process.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _call(self, call: bytes) -> Any:
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._stopped:
                    raise RuntimeError("the executor was shut down")
                # A session of its own: Ctrl-C in a terminal is for who started it. No buffer: nothing is left to flush
                # to a process that has died.
                process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, *map(os.path.abspath, sys.path)], bufsize=0,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
                )
                self._running.add(process)
            answer = b""
            with process:
                assert process.stdin is not None
                assert process.stdout is not None
                try:
                    process.stdin.write(call)
                    answer = process.stdout.read()
                    process.wait()  # before its standard input ends
                except BrokenPipeError:
                    pass  # it died at once
            with self._lock:
                self._running.remove(process)
            if process.returncode or not answer:
                raise RuntimeError(_last_words(process.returncode, errors))
        result, error = pickle.loads(answer)
        if error is not None:
            raise error
        return result


def _last_words(code: int, errors: IO[bytes]) -> str:
    """Why a process died, in a line."""
    if code < 0:
        return f"killed by signal {-code}{', as is done where memory runs out' * (-code == 9)}"
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"ended with exit code {code}")


def serve() -> None:
    """In the new process: do the call that comes on standard input, and write what comes of it to standard output.

    Standard input then stays open; its end is that of the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    call = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result = raised = None
    try:
        result = call()
    except Exception as error:
        raised = error
    with answers:
        pickle.dump((result, raised), answers)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)
