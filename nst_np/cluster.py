"""Pieces of a picture on other processes and machines: a map that a Dask scheduler's workers compute.

The map is that of `nst_np.mapreduce`, whose results come in the pieces' order, whoever computes them. Only this module
imports `distributed`, and only when a scheduler is asked for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from nst_np.backend import cpu_threads
from nst_np.engine.blas import one_blas_thread
from nst_np.errors import InputError, NSTError
from nst_np.extras import pip_install

LEAST_AREA = 512**2  # pixels of an image, below which pieces would cost more than they save
WAIT = 30  # seconds for a scheduler to answer, and for a worker to come
TRIES = 3  # times that a map is begun before it is given up


class Cluster:
    """The workers of a scheduler; called, it maps a function over arguments, as `map` does.

    What is sent stays with the workers for as long as each call has it: the network and the targets of pieces for a
    size of the picture, pixels for an evaluation. Where a worker dies, its tasks and what it held go to the others. If
    that is not enough, all is sent once more, and the call begins again.

    Parameters
    ----------
    scheduler : ``"tcp://HOST:PORT"``, or ``"local:N"`` for N processes of this machine that share its cores.

    Attributes
    ----------
    workers : how many there are now.

    Raises
    ------
    InputError
        If `distributed` is missing or the scheduler does not answer.
    NSTError
        By a call, if no worker is left.
    """

    def __init__(self, scheduler: str) -> None:
        self._distributed = _imported()
        self._name = scheduler
        self._sent: dict[int, tuple[Any, Any]] = {}  # by identity: what was sent, and what stands for it
        self._local: Any = None
        self._client: Any = None
        try:
            if scheduler.startswith("local:"):
                self._local = self._processes(int(scheduler.removeprefix("local:")))
            self._client = self._distributed.Client(self._local or scheduler, timeout=WAIT, set_as_default=False)
            self._client.wait_for_workers(1, timeout=WAIT)
        except (OSError, ValueError) as error:
            self.close()
            raise InputError(f"scheduler {scheduler!r} cannot be used: {_reason(error)}") from error

    def _processes(self, number: int) -> Any:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # who dies is no news to a user
        threads = max(1, cpu_threads() // number)
        return self._distributed.LocalCluster(
            n_workers=number, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL,
            env={"NST_NP_THREADS": str(threads)})

    @property
    def workers(self) -> int:
        """How many there are now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def pieces(self, shape: Sequence[int]) -> int:
        """In how many pieces an image of a shape (height, width, …) is to be worked on, at least."""
        return max(1, self.workers) if shape[0] * shape[1] >= LEAST_AREA else 1

    def executor(self) -> Executor:
        """One of `concurrent.futures`, for calls that read and write files that all workers see."""
        executor: Executor = self._client.get_executor()
        return executor

    def __call__(self, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
        """What the function returns for the first of all columns, for the second, and so on."""
        for attempt in range(1, TRIES + 1):
            try:
                futures = [self._client.submit(_alone, function, *row, pure=False)
                           for row in zip(*map(self._futures, columns), strict=True)]
                results: list[Any] = self._client.gather(futures)
                break
            except self._lost as error:
                self._sent.clear()
                if attempt == TRIES:
                    raise self._gone(error) from error
                self._wait()
        held = {id(value) for column in columns for value in column}
        self._sent = {key: kept for key, kept in self._sent.items() if key in held}
        return results

    def _futures(self, column: Sequence[Any]) -> list[Any]:
        """What stands for the values of a column on the workers. One that was sent before is not sent again."""
        new = {id(value): value for value in column if id(value) not in self._sent}
        if new:
            sent = self._client.scatter(list(new.values()), hash=False)
            self._sent |= {key: (value, future) for (key, value), future in zip(new.items(), sent, strict=True)}
        return [self._sent[id(value)][1] for value in column]

    @property
    def _lost(self) -> tuple[type[BaseException], ...]:
        """What is raised where workers, or what they held, are gone."""
        distributed = self._distributed
        return distributed.KilledWorker, distributed.client.FutureCancelledError, TimeoutError, OSError

    def _wait(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WAIT)
        except (TimeoutError, OSError) as error:
            raise self._gone(error) from error

    def _gone(self, error: BaseException) -> NSTError:
        return NSTError(f"scheduler {self._name!r} has no worker left that finishes a piece ({_reason(error)})")

    def close(self) -> None:
        """End what was begun: the connection, and processes of this machine. A scheduler elsewhere stays."""
        self._sent.clear()
        for each in (self._client, self._local):
            if each is not None:
                each.close()


@contextlib.contextmanager
def cluster_of(scheduler: str | None) -> Iterator[Cluster | None]:
    """The workers of a scheduler for as long as the ``with`` lasts; None without a scheduler."""
    if scheduler is None:
        yield None
        return
    with contextlib.closing(Cluster(scheduler)) as cluster:
        yield cluster


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """On a worker: as a run does it, with BLAS on one thread."""
    with one_blas_thread():
        return function(*arguments)


def _imported() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError(f"scheduler needs distributed, which cannot be imported ({error}); install it with: "
                         f"{pip_install('dask')}") from error
    return distributed


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
