"""Draw the computed pictures, all or those named: python examples/make_examples.py [NAME ...]."""

import sys
from pathlib import Path

import dots
import facets
import lake
import mosaic
import painting
import scene
import watercolour
import woodblock
from PIL import Image

FOLDER = Path(__file__).resolve().parent
FINE, SMALL = {"quality": 90, "subsampling": 0}, {"quality": 82}
PICTURES = {
    "content.jpg": (scene.render, FINE),
    "style.jpg": (painting.paint, FINE),
    "photographs/lake.jpg": (lake.render, SMALL),
    "paintings/dots.jpg": (dots.paint, SMALL),
    "paintings/facets.jpg": (facets.paint, SMALL),
    "paintings/mosaic.jpg": (mosaic.paint, SMALL),
    "paintings/watercolour.jpg": (watercolour.paint, SMALL),
    "paintings/woodblock.jpg": (woodblock.paint, SMALL),
}


def main():
    """Write the pictures into this folder."""
    for name, (draw, options) in PICTURES.items():
        if not sys.argv[1:] or Path(name).stem in sys.argv[1:]:
            Image.fromarray(draw()).save(FOLDER / name, optimize=True, **options)
            print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
