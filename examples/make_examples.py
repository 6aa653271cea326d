"""Draw the two example pictures: python examples/make_examples.py."""

from pathlib import Path

import painting
import scene
from PIL import Image

FOLDER = Path(__file__).resolve().parent


def main():
    """Write content.jpg and style.jpg next to this file."""
    for name, picture in (("content.jpg", scene.render), ("style.jpg", painting.paint)):
        Image.fromarray(picture()).save(FOLDER / name, quality=90, subsampling=0, optimize=True)
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
