"""Downloads, from a server on this machine that can be made to fail in every way that matters."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nst_np.errors import DownloadError, WeightsError
from nst_np.weights import download
from nst_np.weights.download import MIRRORS, STAGING, fetch_weights
from nst_np.weights.published import KERAS_FILES, PublishedFile

CONTENT = bytes(range(256)) * 2000
MOST = 100 * len(CONTENT)
NAME = "vgg19_test.h5"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `CONTENT` under every path; the first folder of the path says how it fails."""

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        self.server.requests.append(self.path)
        getattr(self, behaviour)()

    def send(self, body, length=None, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.send(CONTENT)

    def truncated(self):
        self.send(CONTENT[:1000], length=len(CONTENT))

    def wrong(self):
        self.send(b"x" * len(CONTENT))

    def web_page(self):
        self.send(b"<html>please log in</html>")

    def missing(self):
        self.send(b"not here", status=404)

    def broken_once(self):
        """The second request is the first that downloads; the one before it only asks."""
        body = CONTENT[:1000] if len(self.server.requests) == 2 else CONTENT
        self.send(body, length=len(CONTENT))

    def endless(self):
        """Says nothing of its length, which would fill a disk: far more than anybody may take."""
        self.send_response(200)
        self.end_headers()
        while self.server.sent < MOST:
            self.wfile.write(CONTENT)
            self.server.sent += len(CONTENT)

    def longer(self):
        self.send(CONTENT + b"x")

    def packed(self):
        """A little that unpacks to much more than the file has."""
        body = gzip.compress(bytes(10 * len(CONTENT)))
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def trickling(self):
        """A byte now and then, so that no read times out."""
        self.send(b"", length=len(CONTENT))
        for _ in range(1000):  # who takes all of it waits for 20 seconds
            if not self.server.released.wait(0.02):
                self.wfile.write(b"x")

    def together(self):
        """A download begins once two are asked for. A request that only asks whether there is a file waits for none."""
        if self.headers["Accept-Encoding"] == "identity":
            self.server.both.wait()
        self.send(CONTENT)

    def silent(self):
        self.server.released.wait(20)

    def stalled(self):
        """A part, then nothing until the test is over."""
        self.send(CONTENT[:100_000], length=len(CONTENT))
        self.server.released.wait(20)

    def log_message(self, *arguments):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ConnectionError:  # the other side hung up, as some tests mean to
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.sent = 0
        self.both = threading.Barrier(2, timeout=30)
        self.released = threading.Event()

    def mirror(self, behaviour):
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def small_file(monkeypatch):
    """The registry names a small file; no proxy stands between here and here; no wait is long."""
    monkeypatch.setitem(KERAS_FILES, "vgg19", PublishedFile(NAME, MD5, len(CONTENT)))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "ANSWER_SECONDS", 30.0)  # the machine may be busy; those that time out set less


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound, but nobody listens


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def failure(folder, *mirrors):
    with pytest.raises(DownloadError) as caught:
        fetch_weights("vgg19", folder=folder, mirrors=mirrors)
    message = str(caught.value)
    assert "\n" not in message
    assert names(folder) == []
    return message


def test_good_download(server, tmp_path, capfd):
    folder = tmp_path / "new" / "folder"
    path = fetch_weights("vgg19", folder=folder, mirrors=[server.mirror("good")])
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert names(folder) == [NAME]
    assert set(server.requests) == {f"/good/{NAME}"}
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_on_standard_error(server, tmp_path, capfd):
    fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")], progress=True)
    output, errors = capfd.readouterr()
    assert output == ""
    assert "100%" in errors


def test_downloaded_file_has_the_permissions_of_the_umask(server, tmp_path):
    (tmp_path / "reference").touch()
    path = fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")])
    assert path.stat().st_mode == (tmp_path / "reference").stat().st_mode


def test_file_that_is_there_is_not_downloaded(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")]) == tmp_path / NAME
    assert server.requests == []


def test_damaged_file_is_replaced_only_by_a_good_one(server, tmp_path):
    path = tmp_path / NAME
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError):
        fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("truncated")])
    assert path.read_bytes() == CONTENT[:-1]
    assert fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")]) == path
    assert path.read_bytes() == CONTENT


def test_architecture_in_the_address(server, tmp_path):
    mirror = server.mirror("good") + "{architecture}/"
    fetch_weights("vgg19", folder=tmp_path, mirrors=[mirror])
    assert server.requests[0] == f"/good/vgg19/{NAME}"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "HTTP status 404"),
        ("wrong", f"wrong checksum, expected md5 {MD5}"),
        ("web_page", "a file of 26 bytes, expected 512000"),
        ("longer", "a file of 512001 bytes, expected 512000"),
        ("truncated", r"IncompleteRead\(1000 bytes read, 511000 more expected\)|broke off after 1000"),
        ("endless", "over 512000 bytes, which the file has"),
        ("packed", r"the file comes packed \(gzip\), expected as it is"),
    ],
)
def test_failing_mirror_is_named_and_the_next_one_tried(server, tmp_path, behaviour, reason):
    message = failure(tmp_path, server.mirror(behaviour))
    assert message.startswith(f"{NAME} could not be downloaded: {server.mirror(behaviour)}: ")
    assert re.search(reason, message)
    path = fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror(behaviour), server.mirror("good")])
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]


def test_broken_transfer_is_tried_again(server, tmp_path):
    path = fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("broken_once")])
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_refused_connection(server, tmp_path, closed_port):
    closed = f"http://127.0.0.1:{closed_port}/"
    assert failure(tmp_path, closed) == f"{NAME} could not be downloaded: {closed}: Connection refused"
    assert fetch_weights("vgg19", folder=tmp_path, mirrors=[closed, server.mirror("good")]).is_file()


def test_every_mirror_is_in_the_message(server, tmp_path, closed_port):
    closed, missing = f"http://127.0.0.1:{closed_port}/", server.mirror("missing")
    message = failure(tmp_path, closed, missing)
    assert message == f"{NAME} could not be downloaded: {closed}: Connection refused; {missing}: HTTP status 404"


def test_silent_mirror_is_given_up_in_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    message = failure(tmp_path, server.mirror("silent"))
    assert "no answer within 0.2 s" in message or "timed out" in message


def test_name_that_never_resolves_is_given_up_in_time(tmp_path, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: released.wait(10))
    message = failure(tmp_path, "http://mirror.invalid/")
    released.set()
    assert message.endswith("http://mirror.invalid/: no answer within 0.2 s")


def test_unknown_host(tmp_path, monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure(tmp_path, "http://mirror.invalid/").endswith("mirror.invalid/: Name or service not known")


def test_stalled_transfer_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(download, "RETRIES", 0)
    assert "timed out" in failure(tmp_path, server.mirror("stalled"))


def test_transfer_below_the_minimum_rate_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 1.0)  # no byte is so late, even where this process is starved
    monkeypatch.setattr(download, "RETRIES", 0)
    assert re.search(r"\d+ bytes in 1 s, which is too slow", failure(tmp_path, server.mirror("trickling")))


def test_no_more_is_taken_than_the_published_size(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "RETRIES", 0)
    failure(tmp_path, server.mirror("endless"))
    assert server.sent < MOST  # what the sockets hold


@pytest.mark.parametrize(("sha256", "reason"), [(SHA256, None), (64 * "0", "expected sha256 0000")])
def test_a_known_sha256_must_be_right_too(server, tmp_path, monkeypatch, sha256, reason):
    monkeypatch.setitem(KERAS_FILES, "vgg19", PublishedFile(NAME, MD5, len(CONTENT), sha256))
    if reason is None:
        fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")])
    else:
        assert reason in failure(tmp_path, server.mirror("good"))


def test_two_threads_at_once_have_a_stage_each(server, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        fetches = [threads.submit(fetch_weights, "vgg19", folder=tmp_path, mirrors=[server.mirror("together")])
                   for _ in range(2)]
        assert [fetch.result() for fetch in fetches] == [tmp_path / NAME] * 2
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]


def test_bad_address(tmp_path):
    assert "could not be downloaded: no address/: " in failure(tmp_path, "no address/")


def test_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot write weights to the folder .*file/folder: Not a directory"):
        fetch_weights("vgg19", folder=tmp_path / "file" / "folder", mirrors=[server.mirror("good")])
    assert server.requests == []


def test_destination_that_cannot_be_replaced(server, tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(DownloadError, match="cannot write weights to the folder .*: Is a directory"):
        fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")])
    assert names(tmp_path) == [NAME]


def test_unknown_architecture(tmp_path):
    with pytest.raises(WeightsError, match="unknown architecture 'vgg11'"):
        fetch_weights("vgg11", folder=tmp_path)


def test_default_folder(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "download_folder", lambda: tmp_path / "home")
    assert fetch_weights("vgg19", mirrors=[server.mirror("good")]) == tmp_path / "home" / NAME


def test_published_mirrors():
    assert [mirror.format(architecture="vgg16") for mirror in MIRRORS] == [
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/",
        "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/",
    ]


def test_two_mirrors_out_of_reach_cost_less_than_ten_seconds(monkeypatch):
    monkeypatch.undo()
    assert len(MIRRORS) * download.ANSWER_SECONDS < 10


DOWNLOADER = """
import sys
from nst_np.weights.download import fetch_weights
from nst_np.weights.published import KERAS_FILES, PublishedFile
name, md5, size, folder, mirror = sys.argv[1:]
KERAS_FILES["vgg19"] = PublishedFile(name, md5, int(size))
fetch_weights("vgg19", folder=folder, mirrors=[mirror])
"""


def test_killed_download_leaves_nothing_usable_and_the_next_one_succeeds(server, tmp_path):
    root = Path(__file__).resolve().parent.parent
    arguments = [NAME, MD5, str(len(CONTENT)), str(tmp_path), server.mirror("stalled")]
    process = subprocess.Popen([sys.executable, "-c", DOWNLOADER, *arguments], cwd=root)
    try:
        partial = wait_for_partial_file(tmp_path, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / NAME).exists()
    assert partial.is_file()

    assert fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")]).read_bytes() == CONTENT

    # What the killed download left is removed as soon as it is certain that nobody writes there any more.
    long_ago = time.time() - 2 * download.STALE_SECONDS
    for path in (partial, partial.parent):
        os.utime(path, (long_ago, long_ago))
    (tmp_path / NAME).unlink()
    fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")])
    assert names(tmp_path) == [NAME]


def wait_for_partial_file(folder, process):
    """The temporary file of a download in another process, once some of it has been written."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        for path in folder.glob(f"{STAGING}*/*"):
            if path.stat().st_size > 0:
                return path
        threading.Event().wait(0.02)
    raise AssertionError("the download did not start")


def test_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_transfer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_weights("vgg19", folder=tmp_path, mirrors=[server.mirror("good")])
    assert names(tmp_path) == []
