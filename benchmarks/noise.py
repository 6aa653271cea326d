"""Which patterns VGG16 hardly sees, and what is left of the noise that a picture begins from: for docs/noise.md.

    python benchmarks/noise.py [WEIGHTS]

Prints how much of a pattern of one pixel value RMS comes through conv1_1 by its wavelength and colour, and how far
patterns that are added to examples/content.jpg move the features of each block, as a share of what a smooth grey wave
does. Then it paints the same pictures from white noise over 0–255 and from the default noise, and writes
docs/noise.jpg. WEIGHTS is a file of VGG16's weights (default: as --weights auto). It takes a few minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import StylizeResult, images, load_network, stylize
from nst_np.images.sheets import contact_sheet
from nst_np.network import FeatureNetwork
from nst_np.presets import with_preset

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {"grey": (1, 1, 1), "red − green": (1, -1, 0), "yellow − blue": (1, 1, -2)}
WAVELENGTHS = (32, 16, 8, 4, 8 / 3, 2)  # pixels; 2 is the checkerboard
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SIZE, ITERATIONS = 144, 100


def unit(colour: tuple[int, ...]) -> np.ndarray:
    """A colour of RMS 1 over its three channels."""
    vector = np.array(colour, dtype=float)
    return vector / np.sqrt((vector**2).mean())


def first_gains(kernel: np.ndarray) -> Iterator[tuple[str, list[float]]]:
    """RMS of conv1_1's output for a diagonal wave of RMS 1, from the kernel's Fourier transform, by colour.

    `kernel` is (3, 3, 3, K), in RGB. Along the diagonal the shortest wave is the checkerboard.
    """
    steps = np.add.outer(np.arange(-1, 2), np.arange(-1, 2))
    for name, colour in COLOURS.items():
        gains = []
        for wavelength in WAVELENGTHS:
            wave = np.exp(2j * np.pi / wavelength * steps)
            response = np.einsum("ab,abck,c->k", wave, kernel, unit(colour))
            gains.append(float(np.sqrt((np.abs(response) ** 2).mean())))
        yield name, gains


def patterns(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Patterns of RMS 1, (H, W, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    checks = (-1.0) ** (x + y)
    wave = np.sqrt(2) * np.sin(2 * np.pi / 16 * (x + y))
    return {
        "grey wave of 16 pixels": wave[..., None] * unit(COLOURS["grey"]),
        "red − green wave of 16 pixels": wave[..., None] * unit(COLOURS["red − green"]),
        "grey white noise": rng.standard_normal((*shape, 1)) * unit(COLOURS["grey"]),
        "coloured white noise": rng.standard_normal((*shape, 3)),
        "grey checkerboard": checks[..., None] * unit(COLOURS["grey"]),
        "red − green checkerboard": checks[..., None] * unit(COLOURS["red − green"]),
        "yellow − blue checkerboard": checks[..., None] * unit(COLOURS["yellow − blue"]),
    }


def moved(network: FeatureNetwork, photo: np.ndarray, pattern: np.ndarray, strength: float = 5) -> list[float]:
    """How far `strength` times the pattern moves each layer's features, the RMS over positions and channels."""
    before, after = (network.features(x, LAYERS) for x in (photo, photo + strength * pattern))
    return [float(np.sqrt(((after[layer] - before[layer]) ** 2).mean())) / strength for layer in LAYERS]


def paint(network: FeatureNetwork, content: np.ndarray, style: np.ndarray) -> Iterator[tuple[str, str, StylizeResult]]:
    """The paper's picture and its texture of the style alone, from each start: what, from what, and what came of it."""
    paper = {name: value for name, value in with_preset("gatys2015", {}).items() if name not in ("network", "pooling")}
    with tempfile.TemporaryDirectory() as folder:
        for what, photo in (("picture", content), ("texture", None)):
            white = Path(folder, "white.png")
            shape = (style if photo is None else photo).shape
            images.save_image(white, np.random.default_rng(0).integers(0, 256, shape, np.uint8), quality=95)
            starts = {"white noise, 0–255": str(white), "the default noise": "noise", "flat grey": "grey"}
            for start, init in starts.items():
                settings = {**paper, "init": init, "iterations": ITERATIONS, "size": SIZE}
                yield what, start, stylize(photo, style, network=network, **settings)


def main(weights: str = "auto") -> None:
    network = load_network("vgg16", weights)
    kernel = network._kernels["conv1_1"][:, :, ::-1]  # made for BGR
    print("RMS of conv1_1 for waves of RMS 1, by wavelength in pixels\n")
    print("| colour |", " | ".join(f"{wavelength:.3g}" for wavelength in WAVELENGTHS), "|")
    for name, gains in first_gains(kernel):
        print(f"| {name} |", " | ".join(f"{gain:.2f}" for gain in gains), "|")
    values = np.linalg.svd(np.asarray(kernel, float).reshape(27, -1), compute_uv=False)
    print("\nsingular values of conv1_1, 27 inputs:", " ".join(f"{value:.2f}" for value in values))
    photo = images.load_image(ROOT / "examples" / "content.jpg", size=256).pixels
    every = {name: moved(network, photo, pattern) for name, pattern in patterns(photo.shape[:2]).items()}
    smooth = next(iter(every.values()))
    print("\nhow far a pattern moves features, as a share of what the grey wave does\n")
    print("| pattern |", " | ".join(LAYERS), "|")
    for name, distances in every.items():
        print(f"| {name} |", " | ".join(f"{a / b:.2f}" for a, b in zip(distances, smooth, strict=True)), "|")
    content, style = (images.load_image(ROOT / "examples" / f"{name}.jpg", size=SIZE).pixels
                      for name in ("content", "style"))
    print("\ngrain and chroma grain of the painting: {:.0f}, {:.0f}".format(*measuring.grain(style)))
    pictures: dict[tuple[str, str], np.ndarray] = {}
    for what, start, result in paint(network, content, style):
        pictures[what, start] = result.image.repeat(2, axis=0).repeat(2, axis=1)
        numbers = result.losses["total"], *measuring.grain(result.image)
        print("{} from {}: loss {:.4g}, grain {:.0f}, chroma grain {:.0f}".format(what, start, *numbers), flush=True)
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*pictures, strict=True))
    cells = {(rows.index(what), columns.index(start)): picture for (what, start), picture in pictures.items()}
    title = f"gatys2015 with VGG16, {ITERATIONS} iterations at {SIZE} pixels (twice enlarged), from"
    images.save_image(ROOT / "docs" / "noise.jpg", contact_sheet(title, rows, columns, cells), quality=85)


if __name__ == "__main__":
    main(*sys.argv[1:])
