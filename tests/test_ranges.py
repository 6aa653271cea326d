"""Values that are not 0–255 are refused wherever an image is given, in the same words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nst_np import Objective, load_network, stylize
from nst_np.errors import InputError

RAMP = np.linspace(0, 1, 24 * 32 * 3).reshape(24, 32, 3)
NETWORK = load_network("wavelet", device="cpu")
ENTRANCES = {
    "stylize, content": ("content image", lambda image: stylize(image, RAMP * 255, network="wavelet", iterations=1)),
    "stylize, style": ("style image", lambda image: stylize(RAMP * 255, image, network="wavelet", iterations=1)),
    "stylize, init": ("initial image", lambda image: stylize(RAMP * 255, RAMP * 255, init=image, network="wavelet",
                                                             iterations=1)),
    "Objective, content": ("content image", lambda image: Objective(NETWORK, content=image)),
    "Objective, style": ("style image", lambda image: Objective(NETWORK, content=RAMP * 255, style=image)),
    "features": ("image", lambda image: NETWORK.features(image, ["scale1"])),
}


@pytest.mark.parametrize("entrance", sorted(ENTRANCES))
@pytest.mark.parametrize(("image", "message"), [
    (RAMP, "0 to 1: multiply it by 255"),
    (RAMP.astype(np.float32), "0 to 1: multiply it by 255"),
    (1.05 * RAMP - 0.02, "-0.02 to 1.03: multiply it by 255"),
    (2 * RAMP - 1, "-1 to 1: add 1 and multiply it by 127.5"),
    (1000 * RAMP, "0 to 1000"),
    (255 * RAMP - 127, "-127 to 128"),
    ((65535 * RAMP).astype(np.uint16), "0 to 65535: multiply it by 255 / 65535"),
    ((255 * RAMP - 128).astype(np.int8), "-128 to 127"),
])
def test_other_ranges_are_refused(entrance, image, message):
    name, give = ENTRANCES[entrance]
    with pytest.raises(InputError, match=f"^{re.escape(f'{name} must have values of 0–255, not {message}')}$"):
        give(image)


def test_a_nearly_black_picture_is_one():
    black = (RAMP > 0.5).astype(np.uint8)
    stylize(black, 255 * RAMP, network="wavelet", iterations=1)
    stylize(255 * RAMP, black, network="wavelet", iterations=1)


@pytest.mark.parametrize("entrance", sorted(ENTRANCES))
@pytest.mark.parametrize("image", [
    (255 * RAMP).astype(np.uint8), (255 * RAMP).astype(np.uint16), (255 * RAMP).astype(np.int64), 255 * RAMP,
    np.zeros((24, 32, 3)), (RAMP > 0.5).astype(np.uint8), 300 * RAMP - 20,
])
def test_what_is_an_image_is_taken(entrance, image):
    ENTRANCES[entrance][1](image)


def test_nan_is_no_value():
    with pytest.raises(InputError, match="content image must have values of 0–255, not nan to nan"):
        Objective(NETWORK, content=RAMP * np.nan)


def test_what_an_optimiser_tries_may_be_anything():
    value, _ = Objective(NETWORK, content=255 * RAMP).value_and_grad(1e4 * RAMP - 1e3)
    assert np.isfinite(value)
