"""The one progress display of many runs: a bar on a terminal, lines in a pipe or a file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from nst_np.callbacks import Stream
from nst_np.experiments.grid import Run
from nst_np.forecast.estimate import duration


class Display:
    """Iterations of all runs together, and a line for every run that is over.

    Parameters
    ----------
    stream : where it is shown, or None to show nothing.
    runs : what is to be done.
    """

    def __init__(self, stream: Stream | None, runs: Sequence[Run]) -> None:
        self._stream = stream
        # Until a run says how many they are, those of one size.
        self._expected = {run.place: run.config.iterations for run in runs}
        self._done = dict.fromkeys(self._expected, 0)
        self._over = 0
        self._start = time.monotonic()
        self._tenth = 0
        self._bar: Any = None
        if stream is not None and stream.isatty() and runs:
            from tqdm import tqdm

            # tqdm's own estimate takes every iteration for as long as the last ones, which they are not.
            layout = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} iterations [{elapsed}{postfix}]"
            self._bar = tqdm(total=sum(self._expected.values()), file=stream, bar_format=layout, dynamic_ncols=True)

    def moved(self, run: Run, iteration: int, iterations: int) -> None:
        """A run has come to an iteration, of as many as there will be."""
        self._expected[run.place], self._done[run.place] = iterations, iteration
        self._show()

    def over(self, run: Run, line: str) -> None:
        """A run has ended, as `line` says."""
        self._over += 1
        self._done[run.place] = self._expected[run.place]  # it may have ended early
        self.say(f"{self._over}/{len(self._expected)}  {run.label}: {line}")
        self._show()

    def say(self, line: str) -> None:
        """A line for people."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        elif self._stream is not None:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        done, total = sum(self._done.values()), sum(self._expected.values())
        # The rest is taken to go as it went; before the first iteration, nothing is known.
        left = f", {duration((time.monotonic() - self._start) * (total / done - 1))} left" if done else ""
        if self._bar is not None:
            self._bar.total, self._bar.n = total, done
            self._bar.set_postfix_str(f"{self._over}/{len(self._expected)} runs{left}", refresh=False)
            self._bar.refresh()
        elif done * 10 // total > self._tenth and done < total:
            self._tenth = done * 10 // total
            self.say(f"{done} of {total} iterations of all runs{left}")
