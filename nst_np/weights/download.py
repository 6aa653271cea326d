"""Download Keras's weights: several mirrors, known checksums, and never a half file under the final name.

A mirror is not trusted either: no more bytes are taken than the published file has, they come at a minimum rate or the
mirror is given up, and they are taken as they are, never unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nst_np.errors import DownloadError
from nst_np.weights.architecture import kernel_shapes
from nst_np.weights.finding import download_folder
from nst_np.weights.published import KERAS_FILES, PublishedFile, file_checksum

MIRRORS = (
    "https://storage.googleapis.com/tensorflow/keras-applications/{architecture}/",
    "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/",
)

ANSWER_SECONDS = 4.5  # a mirror that has not answered by then is out of reach: without a network, two cost 9 s
STALL_SECONDS = 20.0  # a download that brings no byte for so long has failed, and one that in so long brings less than
STALL_BYTES = 200_000  # so many: at this rate VGG19 would take two hours
RETRIES = 1  # of a transfer that broke off or brought other bytes, from the same mirror

BLOCK = 1 << 16  # bytes that are taken at once
STAGING = ".nst_np_download-"
STALE_SECONDS = 3600.0  # a download in progress writes all the time, so what is older was killed


def fetch_weights(
    architecture: str,
    *,
    folder: str | Path | None = None,
    mirrors: Sequence[str] = MIRRORS,
    progress: bool = False,
) -> Path:
    """Download the weights of a network, unless the folder has them, and return the path of the file.

    The file is written in a folder of its own beside its place and moved there once its checksum is right. A file
    that has the final name but another content is replaced then, and not before.

    Parameters
    ----------
    architecture : ``"vgg16"`` or ``"vgg19"``.
    folder : where to; by default ``weights/`` of a checkout or the cache folder (`download_folder`).
    mirrors : base addresses, tried in order; ``{architecture}`` in them is replaced.
    progress : whether to show a bar on standard error.

    Raises
    ------
    DownloadError
        In one line, with each mirror and why it failed, or that the folder cannot be written.
    """
    kernel_shapes(architecture)  # an unknown architecture is refused here, in its own words
    file = KERAS_FILES[architecture]
    folder = Path(folder) if folder is not None else download_folder()
    destination = folder / file.name
    if _is_intact(destination, file):
        return destination
    with _staging_folder(folder) as staging:
        failures = []
        for mirror in mirrors:
            base = mirror.format(architecture=architecture)
            url, staged = base + file.name, staging / file.name
            if failure := _unreachable(url) or _download(url, file, staged, progress):
                failures.append(f"{base}: {failure}")
                continue
            staged.replace(destination)
            return destination
    raise DownloadError(f"{file.name} could not be downloaded: {'; '.join(failures)}")


def _is_intact(path: Path, file: PublishedFile) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        return all(file_checksum(path, name) == f"{name}:{digest}" for name, digest in file.checksums.items())
    except OSError:  # it is not there, or of no use to this user
        return False


@contextlib.contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    """A folder for one download, on the file system of its destination."""
    staging = folder / f"{STAGING}{os.getpid()}-{secrets.token_hex(8)}"  # two threads have two
    try:
        staging.mkdir(parents=True)
        _remove_stale(folder)
        yield staging
    except OSError as error:
        raise DownloadError(f"cannot write weights to the folder {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    """Remove what killed downloads have left in `folder`."""
    for staging in folder.glob(f"{STAGING}*"):
        with contextlib.suppress(OSError):  # it may be another process's, and vanish at any moment
            if time.time() - max(path.stat().st_mtime for path in (staging, *staging.iterdir())) > STALE_SECONDS:
                shutil.rmtree(staging, ignore_errors=True)


def _unreachable(url: str) -> str | None:
    """Why `url` does not answer, or None if it does.

    The question is asked by a thread that can be left behind: the timeouts of a connection bound neither the look-up
    of a name nor the number of a host's addresses that are tried in turn.
    """
    import requests

    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=ANSWER_SECONDS) as response:
                answers.put(None if response.ok else f"HTTP status {response.status_code}")
        except Exception as error:  # a thread's exception would be lost, and its traceback printed
            answers.put(_reason(error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return f"no answer within {ANSWER_SECONDS:g} s"


def _download(url: str, file: PublishedFile, target: Path, progress: bool) -> str | None:
    """Download one file to `target` and verify it; why that failed, or None."""
    import requests
    import urllib3

    failure: str | None = None
    for _ in range(1 + RETRIES):
        try:
            failure = _transfer(url, file, target, progress)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = _reason(error)
        if failure is None:
            return None
    return failure


def _transfer(url: str, file: PublishedFile, target: Path, progress: bool) -> str | None:
    """`_download`, once; the connection's own errors are raised."""
    import requests
    from tqdm import tqdm

    digests = [hashlib.new(name, usedforsecurity=False) for name in file.checksums]
    with (requests.get(url, stream=True, timeout=(ANSWER_SECONDS, STALL_SECONDS),
                       headers={"Accept-Encoding": "identity"}) as response,
          target.open("wb") as output,
          tqdm(total=file.size, unit="B", unit_scale=True, leave=True, disable=not progress) as bar):
        if not response.ok:
            return f"HTTP status {response.status_code}"
        if encoding := response.headers.get("Content-Encoding"):
            return f"the file comes packed ({encoding[:20]}), expected as it is"
        declared = response.headers.get("Content-Length", str(file.size))
        if declared != str(file.size):
            return f"a file of {declared[:20]} bytes, expected {file.size}"
        # What has come, however little; urllib3 1 waits until all that is asked for is there.
        read = getattr(response.raw, "read1", response.raw.read)
        taken, window, mark = 0, time.monotonic(), 0
        while data := read(BLOCK):
            taken += len(data)
            if taken > file.size:
                return f"over {file.size} bytes, which the file has"
            output.write(data)
            for digest in digests:
                digest.update(data)
            bar.update(len(data))
            if time.monotonic() - window > STALL_SECONDS:
                if taken - mark < STALL_BYTES:
                    return f"{taken - mark} bytes in {STALL_SECONDS:g} s, which is too slow"
                window, mark = time.monotonic(), taken
    if taken < file.size:
        return f"broke off after {taken} of {file.size} bytes"
    for digest, (name, expected) in zip(digests, file.checksums.items(), strict=True):
        if digest.hexdigest() != expected:
            return f"wrong checksum, expected {name} {expected} (another file)"
    return None


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of exceptions, in a few words."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
