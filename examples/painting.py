"""The style picture: a sun over autumn hills, painted stroke by stroke with loaded bristle brushes.

A composition gives every pixel a colour and a direction. Brushes from broad to fine follow the direction, pick the
colour up unevenly, and leave ridges of paint, which a raking light then shows.
"""

from dataclasses import dataclass

import numpy as np
from fields import along, mix, ramp, smooth_noise, smoothstep
from scipy import ndimage

WIDTH, HEIGHT = 768, 576
SCALE = 1.5  # painted larger than shown, for clean edges

NIGHT, ULTRAMARINE, COBALT, TEAL = (0.05, 0.06, 0.20), (0.09, 0.14, 0.47), (0.14, 0.34, 0.70), (0.08, 0.53, 0.58)
MINT, CREAM, LEMON, OCHRE = (0.60, 0.83, 0.72), (0.98, 0.93, 0.76), (0.98, 0.82, 0.30), (0.86, 0.58, 0.14)
ORANGE, VERMILION, PLUM, MOSS = (0.93, 0.43, 0.11), (0.79, 0.17, 0.10), (0.29, 0.09, 0.25), (0.16, 0.33, 0.17)


# ------------------------------------------------------------------------------------------------ the composition


@dataclass
class Composition:
    """What to paint: `colour` (H, W, 3), `flow` (H, W, 2) as unit (x, y), `detail` (H, W), where fine brushes go."""

    colour: np.ndarray
    flow: np.ndarray
    detail: np.ndarray

    def put(self, where, colour, flow, detail=0.0):
        """Replace the pixels `where` (H, W); `colour` is one colour or a field of them."""
        self.colour[where] = np.broadcast_to(colour, self.colour.shape)[where]
        self.flow[where] = flow[where]
        self.detail = np.where(where, np.maximum(detail, 0.25 * self.detail), self.detail)


def paint_sky(x, y, noise, rng):
    """A sky of ribbons that stream around the sun, cool far from it and warm near it, and the ringed sun itself."""
    dx, dy = x - 2.45, y - 0.82
    sun = np.hypot(dx, dy)
    stream = (dy + 0.18 * dx) * (1 - 0.30 / (sun**2 + 0.02)) + 0.13 * noise  # a fluid's stream function
    for cx, cy, strength, size in ((0.55, 0.75, 0.55, 0.30), (3.72, 0.42, -0.5, 0.26)):
        stream += strength * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * size**2))
    wave = 0.06 + 0.9 * np.clip(0.5 + 0.5 * np.sin(12 * stream) + 0.12 * smooth_noise(x.shape, 5, rng), 0, 1)
    cool = ramp([NIGHT, ULTRAMARINE, COBALT, TEAL, MINT, CREAM], wave)
    warm = ramp([PLUM, VERMILION, ORANGE, OCHRE, LEMON, CREAM], wave)
    glow = smoothstep(0.25, 0.75, 1.15 - 0.55 * sun + 0.20 * np.sin(4 * stream + 1) + 0.15 * noise)
    picture = Composition(mix(cool, warm, glow), along(stream), np.full_like(x, 0.15))
    rings = ramp([CREAM, CREAM, LEMON, ORANGE, LEMON, VERMILION, CREAM, TEAL, ULTRAMARINE], sun / 0.60)
    picture.put(sun < 0.58 + 0.03 * noise, rings, along(sun), 0.6)
    return picture


def add_hills(picture, x, y, noise):
    """Five rows of ploughed hills from far to near, each with a dark outline."""
    rows = (
        (1.50, 0.10, 1.3, 0.4, [ULTRAMARINE, COBALT, PLUM, TEAL], 26),
        (1.72, 0.13, 1.7, 2.2, [TEAL, MOSS, MINT, MOSS, NIGHT], 22),
        (1.98, 0.14, 1.2, 4.3, [OCHRE, LEMON, ORANGE, CREAM, PLUM], 18),
        (2.32, 0.12, 1.6, 0.6, [VERMILION, ORANGE, PLUM, OCHRE, VERMILION], 15),
        (2.62, 0.10, 1.1, 2.6, [MOSS, TEAL, NIGHT, LEMON, MOSS], 12),
    )
    for k, (base, tall, pace, phase, colours, furrows) in enumerate(rows):
        depth = y - base - tall * np.sin(pace * x + phase) - 0.03 * noise
        furrow = depth * (1 + 0.25 * np.sin(x * 1.3 + k)) + 0.06 * np.sin(2.2 * x + 2 * k)
        shade = ramp(colours, 0.5 + 0.5 * np.sin(furrows * furrow + 0.6 * noise))
        picture.put(depth > 0, shade, along(furrow), 0.2)
        picture.put(np.abs(depth) < 0.016, NIGHT, along(depth), 1.0)


def add_trees(picture, x, y):
    """Three round autumn trees, lit from the upper right."""
    for cx, cy, size in ((0.62, 1.62, 0.36), (1.32, 1.86, 0.27), (3.45, 1.78, 0.33)):
        trunk = (np.abs(x - cx - 0.05 * np.sin(5 * y)) < size / 6) & (y > cy) & (y < cy + 1.6 * size)
        picture.put(trunk, PLUM, along(x), 0.7)
        r = np.hypot(x - cx, (y - cy) * 1.1) / size
        r = r + 0.09 * smoothstep(0.1, 1, r) * np.sin(5 * np.arctan2(y - cy, x - cx) + cx)
        light = 0.5 + 0.3 * ((x - cx) - (y - cy)) / size + 0.28 * np.sin(14 * r)
        picture.put(r < 1, ramp([PLUM, PLUM, VERMILION, ORANGE, LEMON, CREAM], light), along(r), 0.6)
        picture.put(np.abs(r - 1) < 0.05, NIGHT, along(r), 1.0)


def compose(rng):
    """The whole composition; coordinates run over 4 by 3."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] * (4 / WIDTH)
    noise = smooth_noise(x.shape, 60, rng)
    picture = paint_sky(x, y, noise, rng)
    add_hills(picture, x, y, noise)
    add_trees(picture, x, y)
    return picture


# ------------------------------------------------------------------------------------------------------- the brush


@dataclass(frozen=True)
class Brush:
    """Half-width and length of its strokes in pixels, how densely they lie, and how freely their colour varies."""

    width: float
    length: float
    cover: float
    colour: float
    threshold: float  # paints only where the composition's detail reaches this


BRUSHES = (
    Brush(11.0, 110, 3.0, 0.05, 0.0),
    Brush(7.5, 84, 2.6, 0.10, 0.0),
    Brush(5.0, 78, 1.2, 0.13, 0.0),
    Brush(3.6, 52, 2.0, 0.08, 0.5),
)


class Canvas:
    """Wet paint: `colour` (h, w, 3) and `height` (h, w), at SCALE times the picture's size."""

    def __init__(self, rng):
        self.shape = round(HEIGHT * SCALE), round(WIDTH * SCALE)
        self.colour = np.broadcast_to(np.array(PLUM), (*self.shape, 3)).copy()
        self.height = np.zeros(self.shape)
        self.bristles = ndimage.gaussian_filter(rng.standard_normal((512, 512)), (0.7, 14), mode="wrap")
        self.bristles /= self.bristles.std()

    def stroke(self, path, half, colours, seed):
        """Lay one stroke of half-width `half` along `path` (k, 2) as (x, y), its two `colours` blending across it."""
        low = np.maximum(np.floor(path.min(0) - half - 2).astype(int), 0)
        high = np.minimum(np.ceil(path.max(0) + half + 3).astype(int), self.shape[::-1])
        if (high <= low).any():
            return
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
        across, s, total = follow(path, x.ravel(), y.ravel())
        near = np.flatnonzero(np.abs(across) < half + 1)
        across, s = across[near], s[near]
        lane, start = across * 1.1 + 13 * seed % 512, 37 * seed % 512
        streak = ndimage.map_coordinates(self.bristles, [lane, s * 0.8 + start], order=1, mode="grid-wrap")
        ragged = 0.30 * half * self.bristles[lane.astype(int) % 512, start]
        ends = np.minimum(s - 0.2 * half - ragged, total - s - 0.6 * half - 1.6 * ragged)
        round_end = np.sqrt(np.clip(1 - (across / half) ** 2, 0, 1))
        inside = smoothstep(-0.6, 0.8, half - np.abs(across)) * smoothstep(-0.5, 1.5, ends - half * (1 - round_end))
        dry = smoothstep(0.55, 1.0, s / total)
        alpha = inside * np.clip(1.25 - dry * (0.45 + 0.55 * streak), 0, 1)
        rim = 0.35 * smoothstep(0.55, 0.92, np.abs(across) / half) + 0.3 * smoothstep(10, 0, ends)
        blend = np.clip(0.5 + 0.55 * streak + 0.5 * across / half, 0, 1)
        paint = mix(*colours, blend) * (1 + 0.06 * streak)[:, None]
        rows, columns = y.ravel()[near], x.ravel()[near]
        self.colour[rows, columns] += alpha[:, None] * (paint - self.colour[rows, columns])
        thick = (0.62 + 0.20 * streak + rim) * half**0.5
        self.height[rows, columns] += alpha * (thick + 0.25 * self.height[rows, columns] - self.height[rows, columns])

    def lit(self):
        """The paint under a raking light from the upper left, as an 8-bit picture (HEIGHT, WIDTH, 3)."""
        dy, dx = np.gradient(ndimage.gaussian_filter(self.height, 0.7))
        facing = (1.0 - 0.55 * dx - 0.75 * dy) / np.sqrt(1 + dx**2 + dy**2)
        gloss = np.clip(facing - 1.05, 0, 0.5) ** 1.5
        light = self.colour * np.clip(0.45 + 0.55 * facing, 0.35, 1.5)[..., None] + 0.5 * gloss[..., None]
        factor = HEIGHT / self.shape[0]
        light = ndimage.gaussian_filter(light, (0.5, 0.5, 0))
        small = ndimage.zoom(light, (factor, factor, 1), order=1, grid_mode=True, mode="nearest")
        return (255 * np.clip(small, 0, 1) + 0.5).astype("u1")


def follow(path, x, y):
    """Signed distance from the polyline, arc length at its nearest point, and its whole length."""
    start, step = path[:-1], np.diff(path, axis=0)
    length = np.hypot(*step.T)
    dx, dy = x[:, None] - start[:, 0], y[:, None] - start[:, 1]
    t = np.clip((dx * step[:, 0] + dy * step[:, 1]) / length**2, 0, 1)
    square = (dx - t * step[:, 0]) ** 2 + (dy - t * step[:, 1]) ** 2
    k = np.argmin(square, 1)
    i = np.arange(len(x))
    side = np.sign(dy[i, k] * step[k, 0] - dx[i, k] * step[k, 1])
    return side * np.sqrt(square[i, k]), (np.cumsum(length) - length)[k] + t[i, k] * length[k], length.sum()


def walk(flow, centre, length, wobble, steps=9):
    """A stroke's path (steps, 2) in picture pixels: from `centre` along the flow both ways."""

    def half(sign):
        p, out = centre.copy(), []
        for _ in range(steps // 2):
            i, j = np.clip(p[::-1].astype(int), 0, np.array(flow.shape[:2]) - 1)
            c, s = np.cos(wobble), np.sin(wobble)
            f = flow[i, j]
            p = p + sign * length / (steps - 1) * np.array([c * f[0] - s * f[1], s * f[0] + c * f[1]])
            out.append(p)
        return out

    return np.array([*half(-1)[::-1], centre, *half(1)])


def vary(colour, amount, rng):
    """The colour as the brush took it up: lighter or darker, warmer or cooler, sometimes a strong accent."""
    shift = amount * rng.standard_normal() + amount * rng.standard_normal() * np.array([1.0, 0.1, -1.0])
    if rng.random() < 0.03:
        accents = np.array([VERMILION, LEMON, MINT, NIGHT, CREAM])
        colour = 0.45 * colour + 0.55 * accents[rng.integers(len(accents))]
    return np.clip(colour * (1 + shift) + 0.3 * shift, 0.01, 1)


def paint(seed=7):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    picture, canvas = compose(rng), Canvas(rng)
    for brush in BRUSHES:
        for _ in range(int(brush.cover * WIDTH * HEIGHT / (1.6 * brush.width * brush.length))):
            centre = rng.uniform((0, 0), (WIDTH, HEIGHT))
            i, j = centre[::-1].astype(int)
            if picture.detail[i, j] < brush.threshold:
                continue
            length = brush.length * rng.uniform(0.6, 1.15)
            path = walk(picture.flow, centre, length, rng.normal(0, 0.07))
            colours = vary(picture.colour[i, j], brush.colour, rng), vary(picture.colour[i, j], 2 * brush.colour, rng)
            half = brush.width * rng.uniform(0.75, 1.1) * SCALE
            canvas.stroke(path * SCALE, half, colours, int(rng.integers(1 << 20)))
    return canvas.lit()
