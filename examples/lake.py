"""A photograph that is computed: a mountain lake on a clear autumn morning.

The ground is a height field. Along the points that one column of the picture can see, only those count that stand
higher in it than all before: so a running maximum, searched once a pixel, replaces the marching of rays.
"""

import numpy as np
from fields import FINE, TILE, eight_bit, fbm, mix, sample, shrink, smoothstep, unit
from scipy import ndimage
from terrain import SUN

WIDTH, HEIGHT, SCALE = 600, 400, 2
LENS, HORIZON, EYE = 0.52, 0.60, 5.0  # half the width at distance 1, the horizon's row, metres above the water
SNOWLINE = 620.0


class Ground:
    """Two grids of heights in metres, a fine one near the eye inside a coarse one; x to the right, z away."""

    def __init__(self):
        self.grids = [(5.0, -5000.0, 0.0, self.far()), (0.4, -400.0, 4.0, self.near())]
        self.slopes = [np.stack(np.gradient(height, cell), -1) for cell, _, _, height in self.grids]

    @staticmethod
    def far():
        """The valley's flanks and the range that closes it, cut by gullies."""
        z, x = np.mgrid[0:1700, 0:2000].astype("f4") * 5.0
        x -= 5000
        wide = fbm((2048, 2048), 2.2, 700, seed=41)[:1700, :2000]
        ridge = np.zeros_like(x)
        for gain, largest in ((1.0, 500), (0.5, 200), (0.22, 80)):  # creases that the next, finer ones share
            crease = 1 - np.abs(fbm((2048, 2048), 2.7, largest, seed=42 + largest)[:1700, :2000])
            ridge += gain * crease * (0.4 + 0.6 * smoothstep(-0.5, 1.5, ridge)) if largest < 500 else crease
        side = np.abs(x + 120 * np.sin(z / 700))
        flank = 880 * smoothstep(260, 2600, side - 60 * wide - 0.03 * z)
        peak = sum(
            h * np.exp(-np.hypot((x - cx) / w, (z - cz) / (1.3 * w)) ** 1.5)
            for cx, cz, w, h in ((350, 6300, 1300, 1150), (-1500, 6000, 1000, 850), (2300, 5200, 1100, 900), (-2600, 4300, 900, 650))
        )
        high = flank + peak + 25 * smoothstep(700, 1500, z)
        return high * (0.72 + 0.21 * ridge) + 90 * ridge * smoothstep(150, 900, high) - 8 + 4 * wide + 10 * smoothstep(620, 760, z)

    def near(self):
        """The shores: boulders and reeds at our feet, woods of fir and larch beyond."""
        z, x = np.mgrid[0:2300, 0:2000].astype("f4") * 0.4
        x, z = x - 400, z + 4
        wide, rough = fbm((2500, 2048), 2.0, 500, seed=51)[:2300, :2000], fbm((2500, 2048), 1.5, 60, seed=52)[:2300, :2000]
        stone = fbm((2500, 2048), 1.9, 16, seed=53)[:2300, :2000]
        bank = np.abs(x + 30) - 150 - 22 * wide + 0.02 * z + 60 * smoothstep(300, 60, z) * (x > 0) - 70 * smoothstep(200, 20, z)
        shore = np.maximum(bank, (z - 560 + 25 * wide) * 0.9)
        point = 62 - np.hypot((x - 105) * 0.8, (z - 215) * 1.5) + 9 * wide
        shore = np.maximum(shore, np.minimum(point, 24))
        front = 9 - np.hypot(0.5 * x - 6, z - 24) + 0.8 * wide + 0.5 * rough
        height = -3 + 4.4 * smoothstep(-14, 6, shore) + 0.20 * np.maximum(shore - 4, 0) + 0.25 * rough
        height = np.maximum(height, -1.0 + 1.5 * smoothstep(2, 8, front) + 0.10 * rough + 0.9 * smoothstep(0.0, 1.5, stone))
        self.leaf = np.zeros((*x.shape, 2), "f4")
        rng = np.random.default_rng(9)
        for _ in range(26000):
            i, j = rng.integers(60, 2240), rng.integers(20, 1980)
            base = height[i, j] if self.leaf[i, j, 0] == 0 else -1
            if not 1.3 < base < 40 or z[i, j] < 120 or rng.random() > 0.10 + 0.9 * smoothstep(1.5, 5, base) * smoothstep(-1.2, 0.3, rough[i, j] + wide[i, j]):
                continue
            larch = rng.random() < 0.16 + 0.30 * (wide[i, j] > 0.5)
            tall = 4 + np.clip(12 + 5 * wide[i, j], 4, 16) * rng.random()
            radius = (0.23 if larch else 0.20) * tall + 0.3
            n = int(radius / 0.4) + 1
            window = np.s_[i - n : i + n + 1, j - n : j + n + 1]
            dx, dz = x[window] - x[i, j], z[window] - z[i, j]
            r = np.hypot(dx, dz) / radius + 0.11 * rng.standard_normal(dx.shape)
            crown = base + tall * np.clip(1 - r, 0, 1) ** (0.85 if larch else 1.0)
            higher = (crown > height[window]) & (r < 1)
            height[window][higher] = crown[higher]
            self.leaf[window][higher] = (0.3 + 0.7 * (crown[higher] - base)[..., None] / tall) * ((1, 1) if larch else (1, 0.0)) + (0.0, 0)
        return height

    def at(self, fields, x, z):
        """One number for each point: from the fine grid's field where it reaches, else from the coarse one's."""
        values = []
        for (cell, left, front, _), field in zip(self.grids, fields, strict=True):
            values.append(ndimage.map_coordinates(field, [(z - front) / cell, (x - left) / cell], order=1, mode="nearest"))
        inside = smoothstep(900, 860, z) * smoothstep(398, 380, np.abs(x))
        return values[0] * (1 - inside) + values[1] * inside

    def height(self, x, z):
        """Height of the ground in metres, with crags and far woods too fine for the grids."""
        h = self.at([g[3] for g in self.grids], x, z)
        wood = smoothstep(25, 60, h) * smoothstep(430, 300, h) * smoothstep(700, 1100, z)
        return h + wood * 7 * np.abs(sample(FINE, z / 5, x / 5)) + smoothstep(300, 700, h) * 3 * sample(FINE, z / 8, x / 8)


def shade(ground, x, h, z):
    """Light from the ground at the points, (n, 3)."""
    dz, dx = (ground.at([s[..., k] for s in ground.slopes], x, z) for k in (0, 1))
    fine, patch = sample(FINE, z / 3 + h / 2, x / 3), sample(TILE, z / 9, x / 9)
    coarse = sample(TILE, z / 60 + h / 25, x / 60)
    rocky = smoothstep(250, 600, h)
    bump = 0.30 + 0.25 * rocky
    close = smoothstep(90, 45, z)
    pebble = [sample(FINE, z * 7 + 200 * k, x * 7 + 4 * h) for k in (0, 1)]
    east, south = bump * sample(FINE, z / 10, x / 10 + h / 9), bump * fine
    east, south = east + 0.6 * close * pebble[0], south + 0.6 * close * pebble[1]
    normal = unit(np.stack([-dx + east, np.ones_like(x), -dz + south], -1))
    steep = np.hypot(dx, dz)
    rock = mix([0.085, 0.08, 0.085], [0.36, 0.31, 0.27], 0.5 + 0.22 * coarse + 0.15 * np.sin(h / 9 + 2 * coarse) + 0.1 * fine)
    meadow = mix([0.14, 0.17, 0.05], [0.42, 0.33, 0.10], 0.5 + 0.3 * patch + 0.15 * fine)
    fir, larch = np.array([0.045, 0.080, 0.040]), np.array([0.46, 0.26, 0.06])
    gold = smoothstep(0.5, 1.2, coarse + 0.6 * fine)
    wood = mix(fir * (1 + 0.5 * patch[:, None]), larch * 0.8, 0.75 * gold)
    far_wood = smoothstep(1.15, 0.7, steep) * smoothstep(470, 330, h + 60 * coarse) * smoothstep(600, 800, z)
    albedo = mix(mix(rock, meadow, smoothstep(1.0, 0.5, steep + 0.2 * fine) * smoothstep(640, 420, h + 50 * coarse)), wood, far_wood)
    snow = smoothstep(-60, 120, h - SNOWLINE + 60 * coarse + 30 * fine) * smoothstep(1.9, 1.2, steep + 0.25 * fine + 0.25 * coarse)
    albedo = mix(albedo, [0.92, 0.94, 0.97], snow)
    tree, kind = (ground.at([np.zeros((2, 2)), ground.leaf[..., k]], x, z) for k in (0, 1))
    crown = mix(fir * (0.5 + 0.9 * tree[:, None]) * 1.3, larch * (0.55 + 0.5 * tree[:, None]), smoothstep(0.1, 0.4, kind))
    crown = crown * np.clip(1 + 0.25 * fine + 0.45 * sample(FINE, 2 * z, 2 * x + 2 * h), 0.3, 2)[:, None]
    albedo = mix(albedo, crown, smoothstep(0.05, 0.25, tree))
    stones = mix([0.04, 0.038, 0.036], [0.30, 0.265, 0.235], np.clip(0.5 + 0.3 * pebble[0] + 0.25 * sample(TILE, z * 3, x * 3), 0, 1))
    stones *= smoothstep(-0.3, 0.35, h)[:, None] * 0.6 + 0.4
    albedo = mix(albedo, stones, np.maximum(smoothstep(60, 40, z), smoothstep(1.2, 0.6, h) * (tree < 0.05) * (z < 700)))
    sun = np.maximum(normal @ SUN, 0)
    light, s = np.ones_like(x), np.full_like(x, 1.0) * np.clip(z / 150, 0.4, 30)
    for _ in range(26):  # how much of the sun's disc stands above the ground on the way to it
        gap = h + 0.02 * s + s * SUN[1] - ground.height(x + s * SUN[0], z + s * SUN[2])
        light = np.minimum(light, smoothstep(-0.02, 0.05, gap / s))
        s = s * 1.24
    sky = (0.55 + 0.45 * normal[:, 1]) * (0.7 + 0.3 * smoothstep(0, 1, tree))
    return albedo * ((sun * light)[:, None] * [3.1, 2.65, 2.1] + sky[:, None] * [0.30, 0.42, 0.62])


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


def view(ground, eye, slope, across, start=6):
    """What is seen from height `eye` at every slope (rows,) and across (columns,), and its distance, inf for sky."""
    z = np.geomspace(start, 8400, 2600).astype("f4")
    x = across[None] * z[:, None]
    h = ground.height(x, np.broadcast_to(z[:, None], x.shape))
    dry = np.where(h > 0, h, -9 if eye < 0 else 0)
    tops = np.maximum.accumulate((dry - eye) / z[:, None], 0)
    first = np.stack([np.searchsorted(top, slope) for top in tops.T], 1)
    row, column = np.meshgrid(np.arange(len(slope)), np.arange(len(across)), indexing="ij")
    hit = first < len(z)
    k = np.minimum(first, len(z) - 1)
    px, ph, pz = x[k, column], h[k, column], np.where(hit, z[k], np.inf)
    colour = sky(across[column], slope[row])
    land = hit & (ph > 0)
    colour[land] = shade(ground, px[land], ph[land], pz[land])
    air = 1 - np.exp(-((np.where(hit, pz, 0) / 14000) ** 1.2))
    return mix(colour, [0.52, 0.65, 0.82], air), land, pz


def render():
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    ground = Ground()
    height, width = HEIGHT * SCALE, WIDTH * SCALE
    pixel = 2 * LENS / width
    across = ((np.arange(width) + 0.5 - width / 2) * pixel).astype("f4")
    slope = ((HORIZON * height - np.arange(height) - 0.5) * pixel).astype("f4")
    light, land, distance = view(ground, EYE, slope, across)
    below = np.flatnonzero(slope < 0)
    mirror = np.arange(0.5, HORIZON * height + 40) * pixel
    mirrored, _, _ = view(ground, -EYE, mirror.astype("f4"), across, start=70)
    s, a = slope[below][:, None], across[None]
    z = np.broadcast_to(EYE / -s, (len(below), width))
    x = a * z
    calm = np.clip(40 / z, 0.12, 1) ** 0.5
    swell = (sample(TILE, z * 5, x * 1.6) + 0.7 * sample(FINE, z * 14, x * 4)) * smoothstep(-1.4, 0.8, sample(TILE, z * 0.5 + 80, x * 0.12))
    rows = (-s + 0.012 * calm * swell + 0.004) / pixel
    columns = (a - 0.004 * calm * sample(TILE, z * 6 + 50, x * 2)) / pixel + width / 2
    seen = np.stack([ndimage.map_coordinates(mirrored[..., k], [rows, columns], order=1, mode="nearest") for k in range(3)], -1)
    fresnel = 0.10 + 0.88 * (1 - np.clip(np.abs(s) * 1.15 + 0.02 * swell, 0, 1)) ** 3
    bed = ground.at([g[3] for g in ground.grids], x, z)
    pebbles = mix([0.05, 0.07, 0.06], [0.36, 0.34, 0.26], 0.5 + 0.25 * sample(FINE, z * 4, x * 4) + 0.2 * sample(TILE, z * 2, x * 2))
    depth = mix([0.01, 0.075, 0.085], pebbles, np.exp(1.6 * np.minimum(bed, 0)))
    wet = ~land[below]
    light[below] = np.where(wet[..., None], mix(depth, seen, fresnel), light[below])
    light = 0.74 * light + 0.10 * ndimage.gaussian_filter(light, (14, 14, 0))
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return eight_bit(np.clip(shrink(curve, SCALE), 0, 1) ** (1 / 2.2))
