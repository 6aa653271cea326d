"""The defaults and what was tried instead, in numbers: for docs/defaults.md.

    python benchmarks/defaults.py [SIZE] [--only SETTINGS …] [--output FOLDER]

Paints four of the example pairs at SIZE (default 256) with the default settings and with one of them changed at a time,
and prints the means over the pairs. With a folder, the pictures are written there: look at them, for numbers do not.

*Style* is the relative style loss of the wavelets at all scales, which had no part in painting; *content*
the relative content loss of VGG16's relu4_2, 0 for the photograph. *Grain* is the mean of |4 x − its four neighbours|
over pixels and colours, as a share of the painting's; *chroma grain* the same of the colours' differences from their
mean. Seconds are wall time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import measuring
from nst_np import Objective, images, load_network, stylize
from nst_np.presets import PRESETS

EXAMPLES = measuring.ROOT / "examples"
PAIRS = (("content", "style"), ("photographs/cat", "paintings/mosaic"), ("photographs/temple", "paintings/woodblock"),
         ("photographs/astronaut", "paintings/dots"))
EQUAL = {f"relu{block}_1": 0.2 for block in range(1, 6)}
STROKES = PRESETS["strokes"].settings
VARIANTS = {
    "preset gram": {},
    "style layers equal": {"style_layers": EQUAL},
    "content_weight 0.002": {"content_weight": 0.002},
    "content_weight 0.02": {"content_weight": 0.02},
    "tv_weight 0": {"tv_weight": 0},
    "tv_weight 0.2": {"tv_weight": 0.2},
    "coarse_to_fine 1": {"coarse_to_fine": 1},
    "pooling max": {"pooling": "max"},
    "style_loss moments": {"style_loss": {"moments": 1.0}},
    "style_loss moments, content_weight 0.01": {"style_loss": {"moments": 1.0}, "content_weight": 0.01},
    "style_loss wasserstein": {"style_loss": {"wasserstein": 1.0}},
    "defaults, preset strokes": {**STROKES},
    "strokes, 50 iterations": {**STROKES, "iterations": 50},
    "strokes, content_weight 0.007": {**STROKES, "content_weight": 0.007},
    "strokes, content_weight 0.02": {**STROKES, "content_weight": 0.02},
    "strokes, final pass on pixels": {**STROKES, "final_parametrization": "pixels"},
    "strokes, final pass without wasserstein": {**STROKES, "final_style_loss": {"nearest-by-layer": 1.0}},
    "style_loss sliced, content_weight 0.02": {"style_loss": {"sliced": 1.0}, "content_weight": 0.02},
    "style_loss remd, self-similarity": {
        "style_loss": {"remd": 1.0}, "content_loss": {"self-similarity": 1.0}, "content_weight": 1.0},
}


class Judge:
    """What of a photograph and a painting is in a picture."""

    def __init__(self, photo: np.ndarray, painting: np.ndarray) -> None:
        self._painting = painting
        self._style = Objective(load_network("wavelet"), style=painting, normalization="relative")
        self._content = Objective(load_network("vgg16"), content=photo, content_layers={"relu4_2": 1.0},
                                  normalization="relative", center_content=True)

    def __call__(self, picture: np.ndarray) -> list[float]:
        """Style, content, grain and chroma grain."""
        return [self._style.evaluate(picture).terms["style"], self._content.evaluate(picture).terms["content"],
                *np.divide(measuring.grain(picture), measuring.grain(self._painting))]


def main() -> None:
    """Paint, judge and print."""
    parser = measuring.arguments(__doc__, [256])
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, metavar="SETTINGS", default=[*VARIANTS])
    options = parser.parse_args()
    size = options.sizes[0]
    print(measuring.heading(f"Defaults at {size} pixels", options))
    print(measuring.header("settings", "style", "content", "grain", "chroma grain", "seconds"))
    pairs = [[images.load_image(EXAMPLES / f"{name}.jpg", size=size).pixels for name in pair] for pair in PAIRS]
    judges = [Judge(*pair) for pair in pairs]
    for name in options.only:
        settings, rows = VARIANTS[name], []
        for number, (pair, judge) in enumerate(zip(pairs, judges, strict=True), start=1):
            start = time.perf_counter()
            picture = stylize(*pair, network="vgg16", **{"style_loss": {"gram": 1.0}, **settings}).image
            rows.append([*judge(picture.astype(np.float32)), time.perf_counter() - start])
            if options.output is not None:
                options.output.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(options.output / f"{name.replace(' ', '-')}-{number}.png")
        style, content, *rest, seconds = np.mean(rows, axis=0)
        print(measuring.row(name, f"{style:.3f}", f"{content:.2f}", *(f"{value:.2f}" for value in rest),
                            f"{seconds:.0f}"), flush=True)


if __name__ == "__main__":
    main()
