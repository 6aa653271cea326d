"""Frames as a GIF and as a video: which frames, how large, for how long; and what happens without ffmpeg."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nst_np.images import decode_jpeg, encode_gif, encode_jpeg
from nst_np.report import animation
from nst_np.report.animation import evenly_chosen, write_animation
from nst_np.report.recording import Frame

FAKE = f"""#!{sys.executable}
import sys
with open(sys.argv[-1], "wb") as file:
    file.write(repr(sys.argv[1:]).encode() + b"\\n" + sys.stdin.buffer.read())
"""


def flat(value, shape=(30, 40)):
    """The JPEG of a picture of one grey."""
    return encode_jpeg(np.full((*shape, 3), value), 360, 90)


def frames(values, shape=(30, 40)):
    return [Frame(index, index / 10, flat(value, shape)) for index, value in enumerate(values)]


def played(path):
    """Size, grey and milliseconds of each frame of a GIF, and how often it is played, 0 for ever."""
    with Image.open(path) as image:
        assert image.format == "GIF"
        shown = []
        for index in range(image.n_frames):
            image.seek(index)
            shown.append((image.size, round(np.asarray(image.convert("RGB")).mean()), image.info["duration"]))
        return shown, image.info["loop"]


@pytest.fixture
def no_ffmpeg(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Install a program as ffmpeg, from its text."""

    def install(text):
        program = tmp_path / "ffmpeg"
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setattr(shutil, "which", {"ffmpeg": str(program)}.__getitem__)

    return install


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "report"
    path.mkdir()
    return path


def test_jpegs_are_decoded():
    pixels = decode_jpeg(encode_jpeg(np.full((3, 5, 3), (200.0, 100.0, 50.0)), 360, 95))
    assert pixels.shape == (3, 5, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 3


def test_a_gif_has_every_frame_for_its_time(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(encode_gif([flat(10), flat(100), flat(250)], [200, 300, 2000]))
    assert played(path) == ([((40, 30), 10, 200), ((40, 30), 100, 300), ((40, 30), 250, 2000)], 0)


def test_a_gif_shows_equal_frames_once(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(encode_gif([flat(10), flat(10), flat(250)], [200, 300, 2000]))
    assert played(path) == ([((40, 30), 10, 500), ((40, 30), 250, 2000)], 0)


def test_a_gif_has_the_colours_of_its_frames():
    y, x = np.mgrid[:64, :64]
    picture = np.stack([4 * x, 4 * y, 255 - 4 * x], axis=-1)
    jpeg = encode_jpeg(picture, 360, 95)
    with Image.open(io.BytesIO(encode_gif([jpeg], [100]))) as image:
        shown = np.asarray(image.convert("RGB")).astype(float)
    blocks = (shown - decode_jpeg(jpeg)).reshape(16, 4, 16, 4, 3).mean((1, 3))  # which dithering keeps
    assert np.abs(blocks).max() < 10
    assert np.abs(blocks).mean() < 1.3


@pytest.mark.parametrize(("count", "most", "expected"), [
    (1, 2, [0]), (4, 4, [0, 1, 2, 3]), (9, 5, [0, 2, 4, 6, 8]), (5, 4, [0, 1, 3, 4]), (400, 3, [0, 200, 399]),
])  # fmt: skip
def test_frames_are_evenly_chosen(count, most, expected):
    some = [Frame(index, 0.0, b"") for index in range(count)]
    assert [frame.iteration for frame in evenly_chosen(some, most)] == expected


def test_the_gif_of_a_long_run_is_short(folder, no_ffmpeg):
    values = [index % 256 for index in range(401)]
    assert write_animation(folder, frames(values, (4, 6))) == [folder / "evolution.gif"]
    shown, loop = played(folder / "evolution.gif")
    assert len(shown) == animation.MAX_GIF_FRAMES == 60
    assert [grey for _, grey, _ in shown] == [values[round(400 * index / 59)] for index in range(60)]
    assert [time for _, _, time in shown] == [100] * 59 + [2000]
    assert loop == 0


@pytest.mark.parametrize(("count", "milliseconds"), [(1, []), (2, [300]), (20, [300] * 19), (30, [200] * 29)])
def test_the_gif_of_a_short_run_is_not_hasty(folder, no_ffmpeg, count, milliseconds):
    write_animation(folder, frames([8 * index for index in range(count)]))
    assert [time for _, _, time in played(folder / "evolution.gif")[0]] == [*milliseconds, 2000]


def test_frames_of_coarser_sizes_are_enlarged(folder, no_ffmpeg):
    write_animation(folder, frames([10, 60], (15, 20)) + frames([110, 160], (30, 41)))
    shown, _ = played(folder / "evolution.gif")
    assert [(size, grey) for size, grey, _ in shown] == [((41, 30), grey) for grey in (10, 60, 110, 160)]


def test_no_frames_make_no_files(folder):
    assert write_animation(folder, []) == []
    assert list(folder.iterdir()) == []


def test_ffmpeg_gets_all_frames(folder, ffmpeg):
    ffmpeg(FAKE)
    some = frames([10, 60], (15, 20)) + frames([110], (31, 45))
    gif, video = write_animation(folder, some)
    assert (gif, video) == (folder / "evolution.gif", folder / "evolution.mp4")
    assert sorted(folder.iterdir()) == [gif, video]
    arguments, _, received = video.read_bytes().partition(b"\n")
    for words in ("'-framerate', '3.333333'", "'scale=44:30:flags=lanczos'", "'-pix_fmt', 'yuv420p'"):
        assert words in arguments.decode()
    assert received == b"".join(frame.jpeg for frame in some) + 7 * some[-1].jpeg  # at 0.3 s a frame, 2 s more


def test_a_video_of_many_frames_is_not_too_quick(folder, ffmpeg):
    ffmpeg(FAKE)
    some = frames([100] * 400, (4, 6))
    write_animation(folder, some)
    arguments, _, received = (folder / "evolution.mp4").read_bytes().partition(b"\n")
    assert b"'-framerate', '30.000000'" in arguments
    assert received == b"".join([frame.jpeg for frame in some]) + 60 * some[-1].jpeg


@pytest.mark.parametrize(
    "text", [FAKE + "sys.exit(1)", "#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n", "not a program", "#!/none/at/all\n"]
)
def test_without_a_working_ffmpeg_there_is_the_gif(folder, ffmpeg, text):
    ffmpeg(text)
    assert write_animation(folder, frames([10, 60])) == [folder / "evolution.gif"]
    assert list(folder.iterdir()) == [folder / "evolution.gif"]


def test_an_ffmpeg_that_hangs_is_stopped(folder, ffmpeg, monkeypatch):
    monkeypatch.setattr(animation, "_FFMPEG_SECONDS", 0.2)
    ffmpeg("#!/bin/sh\nexec sleep 60\n")
    assert write_animation(folder, frames([10, 60])) == [folder / "evolution.gif"]


def test_no_room_for_temporary_files_is_no_reason_to_fail(folder, ffmpeg, monkeypatch):
    ffmpeg(FAKE)
    monkeypatch.setattr("tempfile.tempdir", str(folder / "missing"))
    assert write_animation(folder, frames([10, 60])) == [folder / "evolution.gif"]


def test_what_cannot_be_written_leaves_what_was_there(folder, no_ffmpeg, monkeypatch):
    gif = folder / "evolution.gif"
    gif.write_text("old")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_animation(folder, frames([10]))
    assert gif.read_text() == "old"
    assert list(folder.iterdir()) == [gif]


def test_a_missing_folder_is_an_os_error(tmp_path, no_ffmpeg):
    with pytest.raises(FileNotFoundError):
        write_animation(tmp_path / "none", frames([10]))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_the_real_ffmpeg_makes_a_video(folder):
    _, video = write_animation(folder, frames([20, 220], (15, 20)) + frames([120], (31, 45)))
    command = ["ffmpeg", "-loglevel", "error", "-i", str(video), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    shown = np.frombuffer(raw, np.uint8).reshape(3 + 7, 30, 44, 3)
    assert np.abs(shown.mean((1, 2, 3)) - ([20, 220] + [120] * 8)).max() < 4
