"""How large a style image is beside the picture, and what is too large."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nst_np.canvas import STYLE_AREA
from nst_np.config import Config
from nst_np.errors import ImageError, InputError
from nst_np.inputs import load_style
from nst_np.paint import load_images
from nst_np.transfer import stylize


def grey(height, width):
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize(("content", "style", "settings", "expected"), [
    ((341, 512), (300, 300), {}, (512, 512)),  # ordinary pictures: by the longer side
    ((512, 288), (200, 300), {}, (341, 512)),
    ((128, 512), (300, 300), {}, (512, 512)),
    ((341, 512), (300, 300), {"style_scale": 0.3}, (154, 154)),
    ((300, 100), (100, 400), {"fit": "shorter"}, (100, 400)),
    ((70, 17000), (900, 900), {}, (2182, 2182)),  # a panorama
    ((17000, 70), (800, 1000), {}, (1951, 2439)),
    ((70, 17000), (900, 900), {"style_scale": 0.5}, (1091, 1091)),
    ((100, 150), (10, 4000), {"fit": "shorter"}, (12, 4899)),
    ((70, 1700), (900, 900), {"style_size": 800}, (800, 800)),  # as it was asked for
    ((100, 100), (10, 4000), {"fit": "square"}, (100, 100)),
])
@pytest.mark.parametrize("from_file", [True, False])
def test_a_style_image_has_a_sensible_area(tmp_path, content, style, settings, expected, from_file):
    Image.fromarray(grey(*style)).save(tmp_path / "style.png")
    given = tmp_path / "style.png"
    asked = {} if from_file else {"style_scale": 1 + 1e-9}  # without which an array keeps its size
    config = Config(**{**asked, **settings})
    found = load_style(given if from_file else grey(*style), config, grey(*content).astype(np.float32)).pixels.shape[:2]
    assert found == expected
    if "style_size" not in settings:
        most = STYLE_AREA * content[0] * content[1] * config.style_scale**2
        assert found[0] * found[1] <= 1.02 * most


def test_without_a_content_image_the_style_is_the_picture(tmp_path):
    Image.fromarray(grey(10, 500)).save(tmp_path / "style.png")
    assert load_style(tmp_path / "style.png", Config(size=40, fit="shorter"), None).pixels.shape == (40, 2000, 3)


def test_the_image_that_is_too_large_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("nst_np.machine.free_on_host", lambda: 10**7)
    Image.fromarray(grey(10, 500)).save(tmp_path / "wide.png")
    wide = tmp_path / "wide.png"
    for name, load in (("content image", lambda: stylize(wide, grey(20, 20), size=20000, network="wavelet")),
                       ("content image", lambda: load_images(Config(content=wide, size=20000))),
                       ("style image", lambda: load_style(wide, Config(style_size=20000), None))):
        with pytest.raises(ImageError, match=f"^{name} '.*wide.png': 500×10 pixels, resized to 20000×400, take about "):
            load()


def test_an_array_whose_pixels_do_not_fit_is_refused():
    """A million by a million pixels, which as they are given take three bytes."""
    image = np.broadcast_to(np.zeros(3, np.uint8), (10**6, 10**6, 3))
    line = r"^content image: 1000000×1000000 pixels in float32 take about 12000 GB of memory, and .* are free"
    with pytest.raises(InputError, match=line):
        stylize(image, image, network="wavelet")
