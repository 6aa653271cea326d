"""A photograph that is computed: a mountain lake on a clear autumn morning.

The ground is a height field. Of the points that one column of the picture can see, only those count that stand higher
in it than all nearer ones: so a running maximum, searched once a pixel, replaces the marching of rays.
"""

import numpy as np
from fields import FINE, TILE, eight_bit, fbm, mix, sample, shrink, smoothstep, unit
from scipy import ndimage
from terrain import SUN

WIDTH, HEIGHT, SCALE = 600, 400, 2
LENS, HORIZON, EYE = 0.52, 0.60, 5.0  # half the width at distance 1, the horizon's row, metres above the water
SNOWLINE = 620.0
PEAKS = ((350, 6300, 1300, 1150), (-1500, 6000, 1000, 850), (2300, 5200, 1100, 900), (-2600, 4300, 900, 650))


def bilinear(field, row, column):
    """The `field` at fractional positions; beyond its edges as at them."""
    return ndimage.map_coordinates(field, [row, column], order=1, mode="nearest")


class Ground:
    """Two grids of heights in metres, a fine one near the eye inside a coarse one; x to the right, z away."""

    def __init__(self):
        near = self.near()
        self.leaf, self.larch = np.zeros_like(near), np.zeros_like(near)  # how high in a tree, and of which kind
        self.plant(near)
        self.heights = near, self.far()
        cells = zip(self.heights, (0.4, 5.0), strict=True)
        self.south, self.east = zip(*(np.gradient(h, cell) for h, cell in cells), strict=True)

    @staticmethod
    def far():
        """The valley's flanks and the range that closes it, cut by gullies: cells of 5 metres."""
        z, x = np.mgrid[0:1700, 0:2000].astype("f4") * 5.0
        x -= 5000

        def noise(slope, largest, seed):
            return fbm((2048, 2048), slope, largest, seed)[:1700, :2000]

        ridge = 1 - np.abs(noise(2.7, 500, 542))
        for gain, largest in ((0.5, 200), (0.22, 80)):  # finer creases where the coarser one stands high
            ridge += gain * (1 - np.abs(noise(2.7, largest, 42 + largest))) * (0.4 + 0.6 * smoothstep(-0.5, 1.5, ridge))
        wide = noise(2.2, 700, 41)
        high = 880 * smoothstep(260, 2600, np.abs(x + 120 * np.sin(z / 700)) - 60 * wide - 0.03 * z)
        for cx, cz, width, tall in PEAKS:
            high += tall * np.exp(-(np.hypot((x - cx) / width, (z - cz) / (1.3 * width)) ** 1.5))
        high += 25 * smoothstep(700, 1500, z)
        cut = high * (0.72 + 0.21 * ridge) + 90 * ridge * smoothstep(150, 900, high)
        return cut - 8 + 4 * wide + 10 * smoothstep(620, 760, z)

    def near(self):
        """The shores and the boulders at our feet: cells of 0.4 metres."""
        z, x = np.mgrid[0:2300, 0:2000].astype("f4") * 0.4
        x, z = x - 400, z + 4
        self.wide, self.rough, stone = (
            fbm((2500, 2048), slope, largest, seed)[:2300, :2000]
            for slope, largest, seed in ((2.0, 500, 51), (1.5, 60, 52), (1.9, 16, 53))
        )
        shore = np.abs(x + 30) - 150 - 22 * self.wide + 0.02 * z - 70 * smoothstep(200, 20, z)
        shore = np.maximum(shore + 60 * smoothstep(300, 60, z) * (x > 0), (z - 560 + 25 * self.wide) * 0.9)
        point = 62 - np.hypot((x - 105) * 0.8, (z - 215) * 1.5) + 9 * self.wide
        shore = np.maximum(shore, np.minimum(point, 24))
        land = -3 + 4.4 * smoothstep(-14, 6, shore) + 0.20 * np.maximum(shore - 4, 0) + 0.25 * self.rough
        front = 9 - np.hypot(0.5 * x - 6, z - 24) + 0.8 * self.wide + 0.5 * self.rough
        boulders = -1 + 1.5 * smoothstep(2, 8, front) + 0.10 * self.rough + 0.9 * smoothstep(0, 1.5, stone)
        return np.maximum(land, boulders)

    def plant(self, height):
        """Stamp firs and larches into `height` as cones."""
        rng = np.random.default_rng(9)
        for _ in range(26000):
            i, j = rng.integers((290, 20), (2240, 1980))
            base, wide = height[i, j], self.wide[i, j]
            thick = 0.10 + 0.9 * smoothstep(1.5, 5, base) * smoothstep(-1.2, 0.3, self.rough[i, j] + wide)
            if self.leaf[i, j] > 0 or not 1.3 < base < 40 or rng.random() > thick:
                continue
            larch = rng.random() < 0.16 + 0.30 * (wide > 0.5)
            tall = 4 + np.clip(12 + 5 * wide, 4, 16) * rng.random()
            radius = (0.23 if larch else 0.20) * tall + 0.3
            n = int(radius / 0.4) + 1
            dz, dx = np.mgrid[-n : n + 1, -n : n + 1] * 0.4
            window = np.s_[i - n : i + n + 1, j - n : j + n + 1]
            r = np.hypot(dx, dz) / radius + 0.11 * rng.standard_normal(dx.shape)
            part = np.clip(1 - r, 0, 1) ** (0.85 if larch else 1.0)
            higher = (base + tall * part > height[window]) & (r < 1)
            height[window][higher] = base + tall * part[higher]
            self.leaf[window][higher] = 0.3 + 0.7 * part[higher]
            self.larch[window][higher] = larch

    def at(self, near, far, x, z):
        """The fine field `near` at the points where it reaches, and the coarse field `far` elsewhere."""
        inside = smoothstep(900, 860, z) * smoothstep(398, 380, np.abs(x))
        fine, coarse = bilinear(near, (z - 4) / 0.4, (x + 400) / 0.4), bilinear(far, z / 5, (x + 5000) / 5)
        return coarse + inside * (fine - coarse)

    def height(self, x, z):
        """Height of the ground in metres, with crags and far woods too fine for the grids."""
        h = self.at(*self.heights, x, z)
        wood = smoothstep(25, 60, h) * smoothstep(430, 300, h) * smoothstep(700, 1100, z)
        crag = smoothstep(300, 700, h)
        return h + 7 * wood * np.abs(sample(FINE, z / 5, x / 5)) + 3 * crag * sample(FINE, z / 8, x / 8)

    def lit(self, x, h, z):
        """How much of the sun's disc stands above the ground, seen from the points, 0 to 1."""
        light, s = np.ones_like(x), np.clip(z / 150, 0.4, 30)
        for _ in range(26):
            gap = h + 0.02 * s + s * SUN[1] - self.height(x + s * SUN[0], z + s * SUN[2])
            light = np.minimum(light, smoothstep(-0.02, 0.05, gap / s))
            s = s * 1.24
        return light


def pebbles(x, z, dark, light):
    """Colours of a stony ground between `dark` and `light`."""
    return mix(dark, light, np.clip(0.5 + 0.3 * sample(FINE, z * 7, x * 7) + 0.25 * sample(TILE, z * 3, x * 3), 0, 1))


def shade(ground, x, h, z):
    """Light from the ground at the points, (n, 3)."""
    south, east = ground.at(*ground.south, x, z), ground.at(*ground.east, x, z)
    steep, none = np.hypot(south, east), np.zeros((2, 2))
    tree, larch = ground.at(ground.leaf, none, x, z), ground.at(ground.larch, none, x, z)
    fine, patch = sample(FINE, z / 3 + h / 2, x / 3), sample(TILE, z / 9, x / 9)
    coarse = sample(TILE, z / 60 + h / 25, x / 60)

    strata = 0.5 + 0.22 * coarse + 0.15 * np.sin(h / 9 + 2 * coarse) + 0.1 * fine
    albedo = mix([0.085, 0.08, 0.085], [0.36, 0.31, 0.27], strata)
    meadow = mix([0.14, 0.17, 0.05], [0.42, 0.33, 0.10], 0.5 + 0.3 * patch + 0.15 * fine)
    albedo = mix(albedo, meadow, smoothstep(1.0, 0.5, steep + 0.2 * fine) * smoothstep(640, 420, h + 50 * coarse))
    green, gold = np.array([0.045, 0.080, 0.040]), np.array([0.46, 0.26, 0.06])
    wood = mix(green * (1 + 0.5 * patch[:, None]), 0.8 * gold, 0.75 * smoothstep(0.5, 1.2, coarse + 0.6 * fine))
    flat = smoothstep(1.15, 0.7, steep) * smoothstep(470, 330, h + 60 * coarse) * smoothstep(600, 800, z)
    albedo = mix(albedo, wood, flat)
    lies = smoothstep(1.9, 1.2, steep + 0.25 * fine + 0.25 * coarse)
    albedo = mix(albedo, [0.92, 0.94, 0.97], lies * smoothstep(-60, 120, h - SNOWLINE + 60 * coarse + 30 * fine))
    crown = mix(green * 1.3 * (0.5 + 0.9 * tree[:, None]), gold * (0.55 + 0.5 * tree[:, None]), larch)
    crown *= np.clip(1 + 0.25 * fine + 0.45 * sample(FINE, 2 * z, 2 * x + 2 * h), 0.3, 2)[:, None]
    albedo = mix(albedo, crown, smoothstep(0.05, 0.25, tree))
    stones = pebbles(x, z, [0.04, 0.038, 0.036], [0.30, 0.265, 0.235])
    stones *= 0.4 + 0.6 * smoothstep(-0.3, 0.35, h)[:, None]  # wet below
    strand = smoothstep(1.2, 0.6, h) * (tree < 0.05) * (z < 700)
    albedo = mix(albedo, stones, np.maximum(smoothstep(60, 40, z), strand))

    bump, close = 0.30 + 0.25 * smoothstep(250, 600, h), 0.6 * smoothstep(90, 45, z)
    east = east - bump * sample(FINE, z / 10, x / 10 + h / 9) - close * sample(FINE, z * 7, x * 7 + 4 * h)
    south = south - bump * fine - close * sample(FINE, z * 7 + 200, x * 7 + 4 * h)
    normal = unit(np.stack([-east, np.ones_like(x), -south], -1))
    sun = np.maximum(normal @ SUN, 0) * ground.lit(x, h, z)
    sky = (0.55 + 0.45 * normal[:, 1]) * (0.7 + 0.3 * smoothstep(0, 1, tree))
    return albedo * (sun[:, None] * [3.1, 2.65, 2.1] + sky[:, None] * [0.30, 0.42, 0.62])


def sky(across, slope):
    """Morning sky with fair-weather clouds, in the direction (across, slope, 1)."""
    up = np.maximum(slope, 0)
    colour = mix([0.60, 0.74, 0.88], [0.05, 0.17, 0.48], smoothstep(0, 0.55, up))

    def density(shift):
        u, v = 130 * (across / (up + 0.28) + shift), 130 / (up + 0.28)
        return sample(TILE, v + 300, u + 120) + 0.35 * sample(FINE, v * 1.7, u * 1.7)

    thick = density(0)
    lit = mix([1.5, 1.45, 1.4], [0.55, 0.60, 0.70], smoothstep(-0.4, 1.2, density(-0.07) - 0.2 * thick))
    return mix(colour, lit, 0.95 * smoothstep(0.35, 1.4, thick) * smoothstep(0.05, 0.25, up))


def view(ground, eye, slope, across, start):
    """Light seen from height `eye` at every slope (rows,) and across (columns,), beyond `start`; and where land is."""
    z = np.geomspace(start, 8400, 2600).astype("f4")
    x = across * z[:, None]
    h = ground.height(x, np.broadcast_to(z[:, None], x.shape))
    tops = np.maximum.accumulate((np.where(h > 0, h, min(eye, 0)) - eye) / z[:, None], 0)
    first = np.stack([np.searchsorted(top, slope) for top in tops.T], 1)
    column = np.broadcast_to(np.arange(len(across)), first.shape)
    k = np.minimum(first, len(z) - 1)
    land = (first < len(z)) & (h[k, column] > 0)
    colour = sky(*np.broadcast_arrays(across, slope[:, None]))
    colour[land] = shade(ground, x[k, column][land], h[k, column][land], z[k][land])
    air = 1 - np.exp(-((np.where(land, z[k], 0) / 14000) ** 1.2))
    return mix(colour, [0.52, 0.65, 0.82], air), land


def water(ground, mirrored, slope, across, pixel):
    """The lake: what it mirrors, from `mirrored`, over green depth and a stony bed, at slopes below the horizon."""
    z = np.broadcast_to(EYE / -slope[:, None], (len(slope), len(across)))
    x, calm = across * z, np.sqrt(np.clip(40 / z, 0.12, 1))
    swell = sample(TILE, z * 5, x * 1.6) + 0.7 * sample(FINE, z * 14, x * 4)
    swell = swell * smoothstep(-1.4, 0.8, sample(TILE, z * 0.5 + 80, x * 0.12))
    rows = (0.012 * calm * swell + 0.004 - slope[:, None]) / pixel
    columns = (across - 0.004 * calm * sample(TILE, z * 6 + 50, x * 2)) / pixel + len(across) / 2
    seen = np.stack([bilinear(channel, rows, columns) for channel in mirrored.transpose(2, 0, 1)], -1)
    bed = pebbles(x, z, [0.05, 0.07, 0.06], [0.36, 0.34, 0.26])
    depth = mix([0.01, 0.075, 0.085], bed, np.exp(1.6 * np.minimum(ground.at(*ground.heights, x, z), 0)))
    facing = np.clip(-1.15 * slope[:, None] + 0.02 * swell, 0, 1)
    return mix(depth, seen, 0.10 + 0.88 * (1 - facing) ** 3)


def render():
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    ground = Ground()
    height, width = HEIGHT * SCALE, WIDTH * SCALE
    pixel = 2 * LENS / width
    across = ((np.arange(width) + 0.5 - width / 2) * pixel).astype("f4")
    slope = ((HORIZON * height - np.arange(height) - 0.5) * pixel).astype("f4")
    light, land = view(ground, EYE, slope, across, 6)
    upward = (np.arange(0.5, HORIZON * height + 40) * pixel).astype("f4")
    mirrored, _ = view(ground, -EYE, upward, across, 70)
    below = slope < 0
    lake = water(ground, mirrored, slope[below], across, pixel)
    light[below] = np.where(land[below][..., None], light[below], lake)
    light = 0.74 * light + 0.10 * ndimage.gaussian_filter(light, (14, 14, 0))
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return eight_bit(np.clip(shrink(curve, SCALE), 0, 1) ** (1 / 2.2))
