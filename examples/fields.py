"""What the pictures are made of: smooth steps, mixtures, ramps of colour, directions, and periodic noise."""

import numpy as np
from scipy import ndimage


def unit(v):
    """Vectors `v` (..., 3) scaled to length one."""
    v = np.asarray(v, "f4")
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def smoothstep(low, high, x):
    """0 below `low`, 1 above `high`, and a smooth cubic between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """The colour `a` (..., 3) where `t` (...) is 0, `b` where it is 1."""
    t = np.asarray(t)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def ramp(colours, t):
    """Colours (k, 3) at positions `t` in 0..1, shape (..., 3)."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, channel) for channel in np.transpose(colours)], -1)


def along(field):
    """Unit direction (x, y) along the level lines of `field`."""
    dy, dx = np.gradient(field)
    return np.stack([-dy, dx], -1) / (np.hypot(dx, dy)[..., None] + 1e-9)


def smooth_noise(shape, scale, rng):
    """Gaussian-filtered white noise of unit variance."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), scale, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def contrast(picture, scale):
    """How fast the colours of `picture` (H, W, 3) change, per pixel, (H, W), seen through a blur of `scale` pixels."""
    slopes = [ndimage.gaussian_filter(picture, (scale, scale, 0), order) for order in ((1, 0, 0), (0, 1, 0))]
    return np.sqrt(np.sum(np.square(slopes), (0, -1)))


def eight_bit(light):
    """A picture of floats in 0..1 as uint8, rounded."""
    return (255 * np.clip(light, 0, 1) + 0.5).astype("u1")


def shrink(picture, factor):
    """The picture (H, W, 3), averaged over squares of `factor` by `factor` pixels."""
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    return picture.reshape(height, factor, width, factor, 3).mean((1, 3))


def fbm(shape, slope, largest, seed):
    """Periodic fractal noise of unit variance: white noise with spectrum 1/f^slope, no wave longer than `largest`."""
    f = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    gain = np.maximum(f, 1e-9) ** -slope * (f > 1 / largest)
    white = np.random.default_rng(seed).standard_normal(shape).astype("f4")
    noise = np.fft.irfft2(np.fft.rfft2(white) * gain, shape)
    return (noise / noise.std()).astype("f4")


def sample(image, row, column):
    """The periodic `image` at fractional positions, bilinearly."""
    return ndimage.map_coordinates(image, [row, column], order=1, mode="grid-wrap")


# Textures that every surface shares: broad, fine, and the profile of far mountains.
TILE = fbm((1024, 1024), 1.5, 256, seed=3)
FINE = fbm((1024, 1024), 0.9, 48, seed=4)
RIDGE = fbm((128, 1024), 2.1, 400, seed=6)
