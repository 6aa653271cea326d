"""Download Keras's weights: several mirrors, a known checksum, and never a half file under the final name."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
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
STALL_SECONDS = 20.0  # a download that brings no byte for so long has failed
RETRIES = 1  # of a transfer that broke off or brought other bytes, from the same mirror

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
            if failure := _unreachable(base + file.name) or _download(base, file, staging, progress):
                failures.append(f"{base}: {failure}")
                continue
            _publish(staging / file.name, destination)
            return destination
    raise DownloadError(f"{file.name} could not be downloaded: {'; '.join(failures)}")


def _is_intact(path: Path, file: PublishedFile) -> bool:
    try:
        return file_checksum(path, "md5") == f"md5:{file.md5}"
    except OSError:  # it is not there, or of no use to this user
        return False


@contextlib.contextmanager
def _staging_folder(folder: Path) -> Iterator[Path]:
    """A folder for one download, on the file system of its destination."""
    staging = folder / f"{STAGING}{os.getpid()}"
    try:
        staging.mkdir(parents=True, exist_ok=True)
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


def _download(base: str, file: PublishedFile, staging: Path, progress: bool) -> str | None:
    """Download one file into `staging` and verify it; why that failed, or None."""
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 16, timeout=(ANSWER_SECONDS, STALL_SECONDS))
    mirror = pooch.create(staging, base, registry={file.name: f"md5:{file.md5}"}, retry_if_failed=RETRIES)
    try:
        with _silent(pooch.get_logger()):
            mirror.fetch(file.name, downloader=downloader)
    except (requests.RequestException, OSError) as error:
        return _reason(error)
    except ValueError:  # what pooch raises for another checksum
        return f"wrong checksum, expected MD5 {file.md5} (an incomplete or another file)"
    return None


def _publish(staged: Path, destination: Path) -> None:
    # pooch's temporary files are private; a folder made here shows what the user's umask gives a file.
    staged.chmod(staged.parent.stat().st_mode & 0o666)
    staged.replace(destination)


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of exceptions, in a few words."""
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120]
