"""A sound file for every reader of files that strangers make, how to damage it, and what must become of it then.

Each damaged file is made from its number alone, so that what fails once fails again. The tests try some of each, and
``benchmarks/fuzz.py`` tens of thousands.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import json
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image, features

from nst_np import machine
from nst_np.cli import main
from nst_np.config import Config, option_names
from nst_np.config_files import format_config, parse_config, read_config
from nst_np.errors import InputError
from nst_np.experiments import load_sweep
from nst_np.experiments.grid import PICTURE, Run
from nst_np.experiments.record import Record, Result
from nst_np.images import load_image, read_settings, save_image
from nst_np.weights import architecture, read_weights, save_compact, save_weights
from nst_np.weights.vgg_weights import VGGWeights
from tests.weight_files import ARRAYS, RGB_MEAN, safetensors_bytes, state_dict, write_keras, write_matconvnet

FREE = 200 * 10**6  # bytes that the machine seems to have: what a header makes up is refused before it is allocated

Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Target:
    """What is damaged and read.

    Attributes
    ----------
    write : makes the sound file, whose name is that of the target.
    damage : the bytes of a file that was damaged.
    read : reads a file and says whether it could; raises unless it was read in order or refused in one line.
    """

    write: Callable[[Path], object]
    damage: Damage
    read: Callable[[Path], bool]


@contextlib.contextmanager
def small_machine() -> Iterator[None]:
    """Little memory, no warnings, and a VGG16 of which no layer has more than four channels.

    Files of such a network are small, and most damage hits what describes the arrays.
    """
    with mock.patch.object(machine, "free_on_host", return_value=FREE), \
            mock.patch.object(architecture, "BLOCK_WIDTHS", (4, 4, 4, 4, 4)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged metadata
        arrays = {name: (np.random.default_rng(0).normal(size=shape).astype(np.float32), np.ones(shape[3], np.float32))
                  for name, shape in architecture.kernel_shapes("vgg16").items()}
        with mock.patch.dict(ARRAYS, {"vgg16": arrays}):
            yield


def damaged(name: str, whole: bytes, number: int) -> bytes:
    """The damaged file of a target that has this number."""
    return TARGETS[name].damage(whole, np.random.default_rng([zlib.crc32(name.encode()), number]))


# --- damage -----------------------------------------------------------------------------------------------------------

NUMBERS = [number.to_bytes(size, order) for size in (1, 2, 4, 8) for order in ("little", "big")
           for number in (0, 1, 7, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)]
WORDS = ("[", "]", "=", "[images]", "output = x.png", "#", ";", '"', "\\", "\r", "\x00", "\x1b[31m", "\u2028", "😀",
         "-1", "nan", "1e999", "9" * 5000, "x" * 5000, "\n  ", "\ufeff", "[[rows]]", "{", "'''", "none", "\udcff")


def few(rng: np.random.Generator) -> int:
    """How many faults: one in half of all cases, at most four."""
    return int(rng.choice([1, 1, 1, 2, 3, 4]))


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one to four faults: flipped bits, numbers, parts that are gone, doubled, moved or zero, an end."""
    array = bytearray(data)
    for _ in range(few(rng)):
        # Half of the faults are near an end, where most formats say what they hold.
        near = int(rng.integers(max(1, min(len(array), 1000))))
        at = (near, max(0, len(array) - 1 - near), *rng.integers(max(1, len(array)), size=2).tolist())[rng.integers(4)]
        length, fault = int(rng.integers(1, 64)), rng.integers(8)
        if fault == 0 and array:
            array[at] ^= 1 << rng.integers(8)
        elif fault in (1, 2):
            number = NUMBERS[rng.integers(len(NUMBERS))]
            array[at : at + len(number)] = number
        elif fault == 3:
            del array[at : at + length]
        elif fault == 4:
            array[at:at] = array[at : at + length] * int(rng.integers(1, 20))
        elif fault == 5:
            array[at : at + length] = bytes(length)
        elif fault == 6:
            other = int(rng.integers(max(1, len(array))))
            array[at : at + length] = array[other : other + length]
        elif rng.integers(4) == 0 and at > 100:
            del array[at:]
    return bytes(array)


def with_checksums(png: bytes) -> bytes:
    """A PNG whose checksums are right again."""
    whole, position = bytearray(png[:8]), 8
    while position + 12 <= len(png):
        length = min(int.from_bytes(png[position : position + 4], "big"), len(png) - position - 12)
        chunk = png[position + 4 : position + 8 + length]
        whole += struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk))
        position += 12 + length
    return bytes(whole)


def broken_png(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged PNG, in half of all cases with checksums that are right: else they would be all that is refused."""
    data = broken(data, rng)
    return data if rng.integers(2) else with_checksums(data)


def broken_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged zip, in half of all cases a sound one of a damaged member, whose checksum is right again."""
    if rng.integers(2):
        return broken(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    chosen, whole = list(members)[rng.integers(len(members))], io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for info, content in members.items():
            archive.writestr(info, broken(content, rng) if info is chosen else content)
    return whole.getvalue()


def broken_matlab(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged MATLAB file, in half of all cases a sound one of a damaged element: its packing has a checksum, too."""
    if rng.integers(2):
        return broken(data, rng)
    whole, position = bytearray(data[:128]), 128
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        content = zlib.compress(broken(zlib.decompress(data[position + 8 : position + 8 + length]), rng))
        whole += struct.pack("<II", kind, len(content)) + content
        position += 8 + length
    return bytes(whole)


def garbled(text: str, rng: np.random.Generator) -> str:
    """A text with a few changes: characters, words that mean something, lines that are missing or twice."""
    for _ in range(few(rng)):
        lines = text.split("\n")
        line, start, change = int(rng.integers(len(lines))), int(rng.integers(len(text) + 1)), rng.integers(5)
        word = WORDS[rng.integers(len(WORDS))]
        if change == 0:
            text = text[:start] + word + text[start:]
        elif change == 1:
            text = text[:start] + chr(int(rng.integers(1, 0x3000))) + text[start + 1 :]
        elif change == 2:
            text = "\n".join(lines[:line] + lines[line + 1 :])
        elif change == 3:
            text = "\n".join(lines[:line] + lines[line : line + 1] + lines[line:])
        else:
            key = option_names()[rng.integers(len(option_names()))]
            text = "\n".join([*lines[:line], f"{key} = {word}", *lines[line:]])
    return text


def broken_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged text in one of four encodings, in half of all cases damaged once more as bytes."""
    encoding = ("utf-8", "utf-8-sig", "utf-16", "utf-32")[rng.integers(4)]
    data = garbled(data.decode(), rng).encode(encoding, "replace")
    return broken(data, rng) if rng.integers(2) else data


def garbled_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged text that can still be stored in a picture."""
    return garbled(data.decode(), rng).encode("utf-8", "surrogatepass")


def refused(error: InputError) -> bool:
    """False, after a look at the line with which a file is refused; a long one is shortened where it is shown."""
    line = str(error)
    assert line
    assert line.isprintable(), line
    return False


# --- images -----------------------------------------------------------------------------------------------------------

SETTINGS = "# nst_np\n" + format_config(Config(
    content="föté.png", style=("a.png", "b.png"), style_blend=(0.3, 0.7), output="out.png",
    style_layers={"relu1_1": 0.5, "relu2_1": 1.0}))  # fmt: skip
WRITE = {"output", "history", "report", "save_every", "quality"}
CONTROLS = {chr(code) for code in (*range(32), *range(127, 160))} - {"\t", "\n"}

IMAGES = ["ours.png", "ours.jpg", "ours.tif", "ours.webp", "grey-16.tif", "grey-32.tif", "turned.jpg", "palette.gif",
          "rgb.bmp", "rgb.ppm", "rgb.tga", "rgb.jp2"] + ["rgb.avif"] * features.check("avif")


def write_image(path: Path) -> None:
    """An image with alpha, settings and an orientation, as far as its format has them."""
    y, x = np.mgrid[:30, :40]
    pixels = np.stack([x * 6, y * 8, 255 - x - y], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    if path.name.startswith("ours"):
        save_image(path, pixels, alpha=pixels[..., 0], quality=80, settings=SETTINGS)
    elif path.name == "grey-16.tif":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(path, compression="tiff_adobe_deflate")
    elif path.name == "grey-32.tif":
        Image.fromarray(pixels[..., 0].astype(np.float32)).save(path)
    elif path.name == "turned.jpg":
        Image.fromarray(pixels).save(path, progressive=True, exif=exif)
    elif path.name == "palette.gif":
        Image.fromarray(pixels).quantize(16).save(path, transparency=3)
    else:
        Image.fromarray(pixels).save(path)


def read_image(path: Path) -> bool:
    """In both sizes, and its settings: pixels of the right kind and range, and no more than there is memory for."""
    sound = True
    for size, fit in ((None, "longer"), (48, "shorter")):
        try:
            picture = load_image(path, size=size, fit=fit)
        except InputError as error:
            sound = refused(error)
            continue
        assert picture.pixels.dtype == np.float32
        assert picture.pixels.min() >= 0
        assert picture.pixels.max() <= 255
        assert picture.pixels.nbytes < FREE
        assert picture.alpha is None or picture.alpha.shape == picture.pixels.shape[:2]
    try:
        assert isinstance(read_settings(path), str)
    except InputError as error:
        refused(error)
    return sound


def read_shown_settings(path: Path) -> bool:
    """A text in a picture, as ``--show-settings`` shows it: no control characters, and no file to write is named."""
    text = path.read_bytes().decode("utf-8", "surrogatepass").replace("\0", "")
    picture = path.with_name("strange.png")
    save_image(picture, np.zeros((2, 2, 3)), quality=90, settings=text)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["--show-settings", str(picture)])
    shown, said = out.getvalue(), err.getvalue()
    assert CONTROLS.isdisjoint(shown + said)
    if code != 0:
        assert (code, shown, said.count("\n")) == (2, "", 1)
        assert len(said) < 1200
        return False
    path.write_text(shown, encoding="utf-8")
    with contextlib.suppress(InputError):
        assert WRITE.isdisjoint(read_config(path))
    return True


# --- texts ------------------------------------------------------------------------------------------------------------

SWEEP = """title = "Layers"
preset = "gatys2015"
snapshots = [5, 20]

[settings]
size = 256
content = "none"

[rows]
style_layers = ["conv1_1", ["conv1_1", "conv2_1"]]
seed = [1, 2]
"""


def read_one_config(path: Path) -> bool:
    """What is read is the same once it was written."""
    try:
        settings = read_config(path)
    except InputError as error:
        return refused(error)
    given = {name: value for name, value in settings.items() if value is not None}
    assert parse_config(format_config(settings), "text") == given
    return True


def read_one_sweep(path: Path) -> bool:
    """It is a sweep whose every variant is known."""
    path = path.replace(path.with_suffix(".toml"))
    try:
        sweep = load_sweep(str(path))
    except InputError as error:
        return refused(error)
    assert sweep.title.isprintable()
    return True


RUN = Run("a run", Config(content="photo.png", style=("painting.png",)), 0, 0)
RESULT = Result("digest", "converged", "", {"total": 1.5, "style": 1.0}, 2.5, 10, 12, "vgg16")
HISTORY = "iteration,level,total\n0,0,2.5\n1,0,2.25\n2,0,1.125\n"


def read_result(path: Path) -> bool:
    """In the folder of a run whose picture is there: it counts as done, with all that is needed, or it does not."""
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    if not (folder / PICTURE).exists():
        Image.new("RGB", (2, 2)).save(folder / PICTURE)
    (folder / "result.json").write_bytes(path.read_bytes())
    result = Record(RUN, "digest", folder).result()
    assert result is None or float(result.losses["total"]) == result.losses["total"]
    return result is not None


def read_history(path: Path) -> bool:
    """Losses as numbers, or none."""
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    (folder / "history.csv").write_bytes(path.read_bytes())
    rows = Record(RUN, "digest", folder).history()
    assert all(isinstance(row["iteration"], int) for row in rows)
    return bool(rows)


# --- weights ----------------------------------------------------------------------------------------------------------


def weights() -> VGGWeights:
    """Those of `small_machine`."""
    kernels, biases = ({name: arrays[part] for name, arrays in ARRAYS["vgg16"].items()} for part in (0, 1))
    return VGGWeights("vgg16", kernels, biases, "RGB", RGB_MEAN, (1.0, 1.0, 1.0), "here", "random", "none", "")


def write_matlab(path: Path, compressed: bool) -> None:
    """As MatConvNet has it."""
    write_matconvnet(path, "vgg16", old=False, average_image=np.array(RGB_MEAN), compressed=compressed)


def write_torch(path: Path, zipped: bool) -> None:
    """As ``torch.save`` writes it, now and before PyTorch 1.6."""
    import torch

    tensors = {key: torch.from_numpy(array) for key, array in state_dict("vgg16", "features").items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)


@functools.cache
def sound_checksum(name: str) -> str:
    """Of the arrays in a sound file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        WEIGHTS[name].write(path)
        return read_weights(path).content_checksum()


def read_one_network(path: Path, proven: str | None = None) -> bool:
    """All arrays in their shapes; and those of the sound file of a format that proves its content."""
    try:
        found = read_weights(path)
    except InputError as error:
        return refused(error)
    assert {name: kernel.shape for name, kernel in found.kernels.items()} == architecture.kernel_shapes("vgg16")
    assert proven is None or found.content_checksum() == sound_checksum(proven)
    return True


WEIGHTS = {
    "keras.h5": Target(lambda path: write_keras(path, "vgg16"), broken, read_one_network),
    "nst_np.h5": Target(lambda path: save_weights(path, weights()), broken,
                        functools.partial(read_one_network, proven="nst_np.h5")),
    "compact.npz": Target(lambda path: save_compact(path, weights()), broken_zip,
                          functools.partial(read_one_network, proven="compact.npz")),
    "matconvnet.mat": Target(functools.partial(write_matlab, compressed=False), broken, read_one_network),
    "matconvnet-compressed.mat": Target(functools.partial(write_matlab, compressed=True), broken_matlab,
                                        read_one_network),
    "weights.safetensors": Target(lambda path: path.write_bytes(safetensors_bytes(state_dict("vgg16", "features"))),
                                  broken, read_one_network),
}
if importlib.util.find_spec("torch"):
    WEIGHTS["torch.pth"] = Target(functools.partial(write_torch, zipped=True), broken_zip, read_one_network)
    WEIGHTS["torch-old.pth"] = Target(functools.partial(write_torch, zipped=False), broken, read_one_network)


def text_target(text: str, read: Callable[[Path], bool], damage: Damage = broken_text) -> Target:
    """One whose sound file is a text."""
    return Target(lambda path: path.write_text(text, encoding="utf-8"), damage, read)


TARGETS: dict[str, Target] = {
    **{name: Target(write_image, broken_png if name.endswith("png") else broken, read_image) for name in IMAGES},
    "settings.txt": text_target(SETTINGS, read_shown_settings, garbled_text),
    "run.ini": text_target(SETTINGS, read_one_config),
    "sweep.toml": text_target(SWEEP, read_one_sweep),
    "result.json": text_target(json.dumps(asdict(RESULT), indent=1), read_result, broken),
    "history.csv": text_target(HISTORY, read_history, broken),
    **WEIGHTS,
}
