"""What the chapters share: pictures to work on, and how figures look. Run from docs/book/."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib_inline.backend_inline import set_matplotlib_formats

from nst_np import images

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"

# Okabe & Ito's colours, told apart by all kinds of eyes; lines differ in dashes as well.
BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000"
SIGNED = "PuOr_r"  # of what has a sign: orange is positive, purple is negative

set_matplotlib_formats("svg")
plt.rcParams.update({
    "figure.figsize": (7, 3), "figure.constrained_layout.use": True, "figure.facecolor": "white",
    "font.size": 10, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK])
    + cycler(linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))]),
    "image.interpolation": "none", "legend.frameon": False, "svg.hashsalt": "nst_np",
})


def picture(name, size):
    """An example's pixels: float32 of shape (height, width, 3), RGB 0–255.

    Parameters
    ----------
    name : of a file in examples/, with its folder.
    size : of the longer side, in pixels.
    """
    return images.load_image(EXAMPLES / name, size=size).pixels


def show(pictures, columns=None, width=7.0, **options):
    """Pictures side by side, each under its title.

    Parameters
    ----------
    pictures : titles and arrays: (height, width, 3) of 0–255, or (height, width) of any numbers.
    columns : in a row; by default all.
    width : of the figure, in inches.
    options : for `matplotlib`, of arrays without colours.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    height, across = next(iter(pictures.values())).shape[:2]
    size = width, rows * (width / columns * height / across + 0.3)
    axes = plt.subplots(rows, columns, figsize=size, squeeze=False)[1]
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, pixels) in zip(axes.flat, pictures.items(), strict=False):
        axis.set_title(title)
        if pixels.ndim == 3:
            axis.imshow(np.clip(pixels, 0, 255).round().astype(np.uint8))
        else:
            axis.imshow(pixels, **{"cmap": "gray", **options})
    plt.show()
