"""A watercolour: poppies and cornflowers in a meadow, on rough white paper.

A wash is a pigment that takes light away. It is darker where it dried last, at its edge, settles in the hollows of the
paper, runs back in blooms, and lets what lies below shine through.
"""

import numpy as np
from fields import eight_bit, fbm, shrink, smoothstep

WIDTH, HEIGHT, SCALE = 640, 480, 2
UNIT = WIDTH * SCALE / 4  # pixels; the sheet measures 4 by 3

SCARLET, ORANGE, CRIMSON, ROSE = (0.88, 0.16, 0.08), (0.96, 0.45, 0.12), (0.66, 0.05, 0.14), (0.95, 0.55, 0.55)
SAP, OLIVE, MINT, FOREST = (0.38, 0.55, 0.16), (0.55, 0.56, 0.18), (0.58, 0.80, 0.66), (0.12, 0.32, 0.22)
COBALT, VIOLET, CERULEAN, INDIGO = (0.16, 0.28, 0.74), (0.42, 0.30, 0.66), (0.45, 0.72, 0.86), (0.12, 0.16, 0.30)
LEMON, OCHRE, INK = (0.97, 0.88, 0.35), (0.86, 0.68, 0.34), (0.10, 0.08, 0.14)


class Sheet:
    """Paper, and the light that the washes on it have `taken` (h, w, 3), as optical density."""

    def __init__(self, seed):
        self.shape = HEIGHT * SCALE, WIDTH * SCALE
        self.y, self.x = np.mgrid[0 : self.shape[0], 0 : self.shape[1]].astype("f4") / UNIT
        noises = ((2.0, 400), (1.6, 120), (1.1, 26), (0.8, 9))
        self.pool, self.broad, rough, tooth = (fbm((1024, 2048), s, n, seed + k) for k, (s, n) in enumerate(noises))
        self.rough, self.tooth = (f[: self.shape[0], : self.shape[1]] for f in (rough, tooth))
        self.taken = np.zeros((*self.shape, 3), "f4")
        self.rng = np.random.default_rng(seed)

    def wash(self, shape, colour, strength=1.0, soft=1.2, ragged=5.0, box=None, bloom=0.0, dry=0.0):
        """Lay a wash where `shape(x, y)` is positive, in units of the sheet.

        `soft` is the edge's width in pixels: above 4 the paper was wet and no edge forms. `ragged` pixels of noise
        move the edge, `bloom` is how far water runs back, `dry` how much of the paper's tooth the brush skips.
        """
        x0, y0, x1, y1 = box or (0, 0, 4, 3)
        top, left = max(0, int(y0 * UNIT)), max(0, int(x0 * UNIT))
        bottom, right = min(int(y1 * UNIT), self.shape[0]), min(int(x1 * UNIT), self.shape[1])
        w = np.s_[top : max(top, bottom), left : max(left, right)]
        turn = self.rng.integers(0, 1024, 2)
        pool, broad = (np.roll(f, turn, (0, 1))[w] for f in (self.pool, self.broad))
        depth = shape(self.x[w], self.y[w]) * UNIT + ragged * (0.6 * broad + 0.25 * self.rough[w])
        cover = smoothstep(-soft, soft, depth)
        body = 0.85 + 0.30 * pool + 0.10 * broad
        if soft < 4:
            body += 0.75 * np.exp(-(((depth - 1.5) / 2.2) ** 2)) + 0.30 * np.exp(-np.maximum(depth, 0) / 12)
        front = pool + 0.35 * broad + 0.12 * self.rough[w]
        body += bloom * (0.9 * np.exp(-(((front - 0.9) / 0.05) ** 2)) - 0.55 * smoothstep(0.88, 1.05, front))
        grain = 1 + 0.26 * self.tooth[w] + 0.10 * self.rough[w]
        cover = cover * (1 - dry * smoothstep(-0.2, 0.3, self.tooth[w] * 0.8 + 0.5 * broad))
        density = strength * cover * np.clip(body * grain, 0.05, 3)
        self.taken[w] += density[..., None] * -np.log(np.array(colour, "f4"))

    def lift(self, shape):
        """Take up what was laid where `shape(x, y)` is positive, down to a stain."""
        depth = shape(self.x, self.y) * UNIT + 4 * self.broad[: self.shape[0], : self.shape[1]]
        self.taken *= 1 - 0.93 * smoothstep(-3, 3, depth)[..., None]

    def stroke(self, points, width, colour, strength=1.0, dry=0.0):
        """A brush stroke along `points` (k, 2): thin, then as wide as `width`, then thin again."""
        points = np.array(points)
        low, high = points.min(0) - width - 0.03, points.max(0) + width + 0.03
        t = np.linspace(0, 1, 14)
        path = np.stack([np.polynomial.polynomial.Polynomial.fit(np.linspace(0, 1, len(points)), p, len(points) - 1)(t) for p in points.T], 1)

        def shape(x, y):
            best = np.full(x.shape, -9.0, "f4")
            for (ax, ay), (bx, by), s in zip(path[:-1], path[1:], t, strict=False):
                k = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2 + 1e-9), 0, 1)
                half = width * np.sin(np.pi * (0.04 + 0.92 * (s + k / 14) ** 0.8))
                best = np.maximum(best, half - np.hypot(x - ax - k * (bx - ax), y - ay - k * (by - ay)))
            return best

        self.wash(shape, colour, strength, 1.0, 1.6, (*low, *high), dry=dry)

    def dried(self):
        """The picture under a light from the side that shows the paper's tooth."""
        relief = 1 + 0.022 * (self.tooth - np.roll(self.tooth, (2, 2), (0, 1)))
        paper = np.array([0.985, 0.972, 0.94]) * (relief + 0.004 * self.rough)[..., None]
        return eight_bit(shrink(paper * np.exp(-self.taken), SCALE))


def petal(angle, cx, cy, size, tall):
    """The shape of a petal that leaves (cx, cy) at `angle`, broad and frilled at its end; and its box."""
    mx, my = cx + 0.55 * size * np.cos(angle), cy + 0.55 * tall * size * np.sin(angle)

    def shape(x, y):
        dx, dy = (x - mx) / size, (y - my) / (size * tall)
        u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        a = np.arctan2(v, u)
        return size * (0.60 + 0.05 * np.cos(3 * a + cx) + 0.035 * np.sin(9 * a + 7 * cy) - np.hypot(u * 1.08, v * (0.92 - 0.35 * u)))

    return shape, (mx - 0.9 * size, my - 0.9 * size, mx + 0.9 * size, my + 0.9 * size)


def poppy(s, cx, cy, size, tall):
    """A poppy of four or five petals, the paint charged darker towards its black heart."""
    pigments = [SCARLET, ORANGE, SCARLET, CRIMSON, ROSE]
    start = s.rng.uniform(0, 6)
    s.lift(lambda x, y: 0.97 * size - np.hypot(x - cx, (y - cy) / tall))
    for k in range(5):
        shape, box = petal(start + k * 1.26 + s.rng.normal(0, 0.15), cx, cy, size * s.rng.uniform(0.85, 1.1), tall)
        s.wash(shape, pigments[k], 0.72, 1.2, 6, box, bloom=0.6, dry=0.3)
        s.wash(lambda x, y: 0.40 * size - np.hypot(x - cx, (y - cy) / tall), CRIMSON, 0.10, 40, 30, box)
        for _ in range(3):
            a = start + k * 1.26 + s.rng.normal(0, 0.28)
            tip = (cx + 0.95 * size * np.cos(a), cy + 0.95 * size * tall * np.sin(a))
            s.stroke([(cx, cy), (0.4 * cx + 0.6 * tip[0] + 0.02, 0.4 * cy + 0.6 * tip[1]), tip], 0.014, CRIMSON, 0.35, 0.4)
    s.wash(lambda x, y: 0.20 * size - np.hypot(x - cx, (y - cy) / tall), INK, 1.0, 1.5, 5, bloom=0.3)
    s.wash(lambda x, y: 0.09 * size - np.hypot(x - cx, (y - cy + 0.02) / tall), OLIVE, 0.8, 1.0, 2)
    for _ in range(26):
        a, r = s.rng.uniform(0, 6.3), size * s.rng.uniform(0.2, 0.34)
        px, py = cx + r * np.cos(a), cy + tall * r * np.sin(a)
        dot = s.rng.uniform(0.008, 0.016)
        s.wash(lambda x, y: dot - np.hypot(x - px, y - py), INK, 1.1, 0.8, 0.8, (px - 0.05, py - 0.05, px + 0.05, py + 0.05))


def cornflower(s, cx, cy, size):
    """A cornflower: ragged rays of cobalt about a violet heart."""
    s.lift(lambda x, y: 0.9 * size - np.hypot(x - cx, (y - cy) / 0.8))
    for k in range(13):
        a = k * 0.4833 + s.rng.normal(0, 0.1)
        r = size * s.rng.uniform(0.75, 1.1)
        for off in (-0.16, 0, 0.16):
            tip = (cx + r * np.cos(a + off), cy + 0.8 * r * np.sin(a + off))
            s.stroke([(cx + 0.15 * r * np.cos(a), cy + 0.12 * r * np.sin(a)), tip], 0.028, (COBALT, COBALT, VIOLET)[k % 3], 0.55, 0.15)
    s.wash(lambda x, y: 0.28 * size - np.hypot(x - cx, (y - cy) / 0.8), VIOLET, 0.9, 2, 4)
    s.stroke([(cx, cy + 0.7 * size), (cx, cy + 0.95 * size), (cx + 0.02, cy + 1.3 * size)], 0.05, FOREST, 0.8)


def meadow(s):
    """Wet paper: sky and far greens that run into each other, then layers of grass."""
    s.wash(lambda x, y: 0.55 - y + 0.25 * np.sin(2.3 * x + 0.6), CERULEAN, 1.0, 60, 90, bloom=0.5)
    s.wash(lambda x, y: 0.5 - np.hypot((x - 3.1) / 1.3, y - 0.55), ROSE, 0.35, 60, 40)
    s.wash(lambda x, y: 0.5 - np.hypot((x - 0.7) / 1.6, y - 0.95), LEMON, 0.7, 70, 40, bloom=0.5)
    s.wash(lambda x, y: 0.35 - np.abs(y - 1.05 - 0.1 * np.sin(3 * x)), MINT, 0.8, 50, 40, bloom=0.8)
    s.wash(lambda x, y: y - 1.25 - 0.15 * np.sin(2.3 * x + 1), SAP, 0.45, 60, 50, bloom=0.9)
    s.wash(lambda x, y: y - 2.1 - 0.12 * np.sin(3.1 * x), FOREST, 0.32, 50, 50, bloom=0.7)
    s.wash(lambda x, y: 0.5 - np.hypot((x - 2.6) / 1.5, y - 2.2), OCHRE, 0.45, 50, 40, bloom=0.5)
    s.wash(lambda x, y: 0.30 - np.abs(y - 0.95 - 0.09 * np.sin(5 * x) - 0.05 * np.sin(13 * x)) * 2.2, FOREST, 0.35, 2, 14, bloom=0.6, dry=0.2)


def paint(seed=17):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    s = Sheet(seed)
    meadow(s)
    rng = s.rng
    flowers = ((0.78, 1.12, 0.50, 0.80), (1.98, 0.78, 0.44, 0.72), (3.12, 1.22, 0.54, 0.82), (1.55, 1.75, 0.36, 0.6), (2.62, 2.05, 0.30, 0.7))
    for cx, cy, size, tall in flowers:
        foot = cx + rng.normal(0, 0.12)
        s.stroke([(cx, cy + 0.1), (cx + 0.1, 0.5 * cy + 1.5), (foot, 3.15)], 0.032, SAP, 1.0)
        s.stroke([(cx + 0.01, cy + 0.1), (cx + 0.11, 0.5 * cy + 1.5), (foot + 0.01, 3.15)], 0.014, FOREST, 0.7)
    for k in range(95):
        x, y, lean, tall = rng.uniform(-0.1, 4.1), rng.uniform(2.6, 3.2), rng.normal(0, 0.22), rng.uniform(0.4, 1.3)
        colour = (SAP, FOREST, OLIVE, MINT, SAP, OLIVE, INDIGO)[k % 7]
        blade = [(x, y), (x + 0.2 * lean, y - 0.6 * tall), (x + lean, y - tall)]
        s.stroke(blade, rng.uniform(0.012, 0.04), colour, rng.uniform(0.45, 0.9), 0.35 * (k % 2))
    for cx, cy, size in ((0.35, 1.98, 0.2), (2.2, 1.52, 0.21), (3.62, 2.18, 0.22), (1.0, 2.35, 0.17)):
        s.stroke([(cx, cy + 0.2), (cx + 0.05, cy + 0.6), (cx + 0.02, 3.1)], 0.022, FOREST, 0.9)
        cornflower(s, cx, cy, size)
    for cx, cy, size, tall in flowers:
        poppy(s, cx, cy, size, tall)
    for cx, cy in ((1.36, 0.42), (3.72, 0.72)):
        s.stroke([(cx, cy + 0.16), (cx + 0.12, 1.4), (cx + 0.03, 3.1)], 0.02, SAP, 1.0)
        s.wash(lambda x, y: 0.10 - np.hypot((x - cx) * 1.4, y - cy), SAP, 1.0, 1.2, 4, bloom=0.5)
        s.wash(lambda x, y: 0.05 - np.hypot((x - cx) * 2.0, y - cy + 0.07), SCARLET, 1.0, 1.2, 4)
    for _ in range(150):
        cx, cy, r = rng.uniform(0, 4), rng.uniform(0, 3), 0.004 + 0.012 * rng.random() ** 3
        colour = (SCARLET, SAP, COBALT, CRIMSON, OCHRE)[rng.integers(5)]
        s.wash(lambda x, y: r - np.hypot(x - cx, y - cy), colour, 0.7, 0.9, 1.0, (cx - 0.05, cy - 0.05, cx + 0.05, cy + 0.05))
    return s.dried()
