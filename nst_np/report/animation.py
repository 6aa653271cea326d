"""The frames of a run as a moving picture: always a GIF, and a video where ffmpeg is there to make one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nst_np.files import replacing
from nst_np.images import decode_jpeg, encode_gif
from nst_np.report.recording import Frame

GIF_FILE = "evolution.gif"
VIDEO_FILE = "evolution.mp4"

#: Frames of a GIF, at most. A busy one of 360×360 pixels takes about 120 kB, so that a GIF stays below 8 MB.
MAX_GIF_FRAMES = 60

_PLAYING = 6.0  # seconds in which a run of any length is told, if frames need not be too quick or too slow for it
_LAST = 2.0  # seconds for which the result is shown
_SHORTEST, _LONGEST = 1 / 30, 0.3  # seconds a frame
_FFMPEG_SECONDS = 120  # for what takes it about two


def write_animation(folder: str | Path, frames: Sequence[Frame]) -> list[Path]:
    """Write ``evolution.gif`` and, if it can be had, ``evolution.mp4``: some six seconds, and two for the last frame.

    The GIF has at most `MAX_GIF_FRAMES` frames, evenly chosen, with the first and the last; the video has all of them.
    Both are as large as the last frame, to which those of coarser sizes are enlarged; the video is one row or column
    less where these are odd in number.

    Returns
    -------
    list of Path
        What was written. The video is missing where ffmpeg is not installed or fails; without frames there is nothing.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    if not frames:
        return []
    files = {GIF_FILE: _gif(evenly_chosen(frames, MAX_GIF_FRAMES)), VIDEO_FILE: _video(frames)}
    written = {Path(folder) / name: data for name, data in files.items() if data is not None}
    for path, data in written.items():
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    return list(written)


def evenly_chosen(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most so many of the frames, 2 or more, evenly spread, with the first and the last."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(index * (len(frames) - 1) / (most - 1))] for index in range(most)]


def _pace(count: int) -> float:
    """Seconds for which each of so many frames is shown."""
    return min(max(_PLAYING / count, _SHORTEST), _LONGEST)


def _gif(frames: Sequence[Frame]) -> bytes:
    seconds = [_pace(len(frames))] * (len(frames) - 1) + [_LAST]
    return encode_gif([frame.jpeg for frame in frames], [10 * round(100 * each) for each in seconds])


def _video(frames: Sequence[Frame]) -> bytes | None:
    """An MP4 file that everything plays, or None if it could not be made."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return None
    pace = _pace(len(frames))
    height, width = (max(2, side // 2 * 2) for side in decode_jpeg(frames[-1].jpeg).shape[:2])
    jpegs = [frame.jpeg for frame in frames] + [frames[-1].jpeg] * round(_LAST / pace)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / VIDEO_FILE
            source = ["-f", "image2pipe", "-c:v", "mjpeg", "-framerate", f"{1 / pace:.6f}", "-i", "-"]
            form = ["-vf", f"scale={width}:{height}:flags=lanczos", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
            command = [ffmpeg, "-loglevel", "quiet", *source, *form, str(file)]
            subprocess.run(command, input=b"".join(jpegs), check=True, timeout=_FFMPEG_SECONDS)
            return file.read_bytes()
    except (OSError, subprocess.SubprocessError):
        return None
