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

    def wash(self, area, colour, strength=1.0, soft=1.2, ragged=5.0, bloom=0.0, dry=0.0):
        """Lay a wash on `area`: a shape(x, y) that is positive inside, in units of the sheet, and a box around it.

        `soft` is the edge's width in pixels: above 4 the paper was wet and no edge forms. `ragged` pixels of noise
        move the edge, `bloom` is how far water runs back, `dry` how much of the paper's tooth the brush skips.
        """
        shape, (x0, y0, x1, y1) = area
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

    def lift(self, area):
        """Take up what was laid on `area`, down to a stain."""
        depth = area[0](self.x, self.y) * UNIT + 4 * self.broad[: self.shape[0], : self.shape[1]]
        self.taken *= 1 - 0.93 * smoothstep(-3, 3, depth)[..., None]

    def stroke(self, points, width, colour, strength=1.0, dry=0.0):
        """A brush stroke along `points` (k, 2): thin, then as wide as `width`, then thin again."""
        points = np.array(points)
        low, high = points.min(0) - width - 0.03, points.max(0) + width + 0.03
        t = np.linspace(0, 1, 14)
        path = np.stack(
            [np.polyval(np.polyfit(np.linspace(0, 1, len(points)), p, len(points) - 1), t) for p in points.T], 1
        )

        def shape(x, y):
            best = np.full(x.shape, -9.0, "f4")
            for (ax, ay), (bx, by), s in zip(path[:-1], path[1:], t, strict=False):
                dx, dy = bx - ax, by - ay
                k = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx**2 + dy**2 + 1e-9), 0, 1)
                half = width * np.sin(np.pi * (0.04 + 0.92 * (s + k / 14) ** 0.8))
                best = np.maximum(best, half - np.hypot(x - ax - k * dx, y - ay - k * dy))
            return best

        self.wash((shape, (*low, *high)), colour, strength, 1.0, 1.6, dry=dry)

    def dried(self):
        """The picture under a light from the side that shows the paper's tooth."""
        relief = 1 + 0.022 * (self.tooth - np.roll(self.tooth, (2, 2), (0, 1)))
        paper = np.array([0.985, 0.972, 0.94]) * (relief + 0.004 * self.rough)[..., None]
        return eight_bit(shrink(paper * np.exp(-self.taken), SCALE))


def everywhere(shape):
    """The area where `shape` is positive, on the whole sheet."""
    return shape, (0, 0, 4, 3)


def disc(cx, cy, rx, ry=None):
    """An ellipse's area."""
    ry = ry or rx
    box = cx - rx - 0.15, cy - ry - 0.15, cx + rx + 0.15, cy + ry + 0.15
    return lambda x, y: rx - np.hypot(x - cx, (y - cy) * (rx / ry)), box


def petal(angle, cx, cy, size, tall):
    """The area of a petal that leaves (cx, cy) at `angle`, broad and frilled at its end."""
    mx, my = cx + 0.55 * size * np.cos(angle), cy + 0.55 * tall * size * np.sin(angle)

    def shape(x, y):
        dx, dy = (x - mx) / size, (y - my) / (size * tall)
        u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        a = np.arctan2(v, u)
        rim = 0.60 + 0.05 * np.cos(3 * a + cx) + 0.035 * np.sin(9 * a + 7 * cy)
        return size * (rim - np.hypot(u * 1.08, v * (0.92 - 0.35 * u)))

    return shape, (mx - 0.9 * size, my - 0.9 * size, mx + 0.9 * size, my + 0.9 * size)


def poppy(s, cx, cy, size, tall):
    """A poppy of five petals, the paint charged darker towards its black heart."""
    start, pigments = s.rng.uniform(0, 6), [SCARLET, ORANGE, SCARLET, CRIMSON, ROSE]
    s.lift(disc(cx, cy, 0.97 * size, 0.97 * size * tall))
    for k in range(5):
        turn, grown = start + k * 1.26 + s.rng.normal(0, 0.15), size * s.rng.uniform(0.85, 1.1)
        s.wash(petal(turn, cx, cy, grown, tall), pigments[k], 0.72, 1.2, 6, bloom=0.6, dry=0.3)
        s.wash(disc(cx, cy, 0.40 * size, 0.40 * size * tall), CRIMSON, 0.10, 40, 30)
        for _ in range(3):
            a = start + k * 1.26 + s.rng.normal(0, 0.28)
            tip = cx + 0.95 * size * np.cos(a), cy + 0.95 * size * tall * np.sin(a)
            bend = 0.4 * cx + 0.6 * tip[0] + 0.02, 0.4 * cy + 0.6 * tip[1]
            s.stroke([(cx, cy), bend, tip], 0.014, CRIMSON, 0.35, 0.4)
    s.wash(disc(cx, cy, 0.20 * size, 0.20 * size * tall), INK, 1.0, 1.5, 5, bloom=0.3)
    s.wash(disc(cx, cy - 0.02, 0.09 * size, 0.09 * size * tall), OLIVE, 0.8, 1.0, 2)
    for _ in range(26):
        a, r = s.rng.uniform(0, 6.3), size * s.rng.uniform(0.2, 0.34)
        dot = disc(cx + r * np.cos(a), cy + tall * r * np.sin(a), s.rng.uniform(0.008, 0.016))
        s.wash(dot, INK, 1.1, 0.8, 0.8)


def cornflower(s, cx, cy, size):
    """A cornflower: ragged rays of cobalt about a violet heart, on its stem."""
    s.stroke([(cx, cy + 0.2), (cx + 0.05, cy + 0.6), (cx + 0.02, 3.1)], 0.022, FOREST, 0.9)
    s.lift(disc(cx, cy, 0.9 * size, 0.72 * size))
    for k in range(13):
        a, r = k * 0.4833 + s.rng.normal(0, 0.1), size * s.rng.uniform(0.75, 1.1)
        for turn in (a - 0.16, a, a + 0.16):
            tip = cx + r * np.cos(turn), cy + 0.8 * r * np.sin(turn)
            root = cx + 0.15 * r * np.cos(a), cy + 0.12 * r * np.sin(a)
            s.stroke([root, tip], 0.028, (COBALT, COBALT, VIOLET)[k % 3], 0.55, 0.15)
    s.wash(disc(cx, cy, 0.28 * size, 0.22 * size), VIOLET, 0.9, 2, 4)
    s.stroke([(cx, cy + 0.7 * size), (cx, cy + 0.95 * size), (cx + 0.02, cy + 1.3 * size)], 0.05, FOREST, 0.8)


def bud(s, cx, cy):
    """A bud that just opens, on its stem."""
    s.stroke([(cx, cy + 0.16), (cx + 0.12, 1.4), (cx + 0.03, 3.1)], 0.02, SAP, 1.0)
    s.wash(disc(cx, cy, 0.072, 0.10), SAP, 1.0, 1.2, 4, bloom=0.5)
    s.wash(disc(cx, cy - 0.07, 0.025, 0.05), SCARLET, 1.0, 1.2, 4)


def meadow(s):
    """Wet paper: sky, far greens that run into each other, and a hedge on dry paper."""
    washes = (
        (lambda x, y: 0.55 - y + 0.25 * np.sin(2.3 * x + 0.6), CERULEAN, 1.0, 60, 90, 0.5, 0),
        (lambda x, y: 0.5 - np.hypot((x - 3.1) / 1.3, y - 0.55), ROSE, 0.35, 60, 40, 0, 0),
        (lambda x, y: 0.5 - np.hypot((x - 0.7) / 1.6, y - 0.95), LEMON, 0.7, 70, 40, 0.5, 0),
        (lambda x, y: 0.35 - np.abs(y - 1.05 - 0.1 * np.sin(3 * x)), MINT, 0.8, 50, 40, 0.8, 0),
        (lambda x, y: y - 1.25 - 0.15 * np.sin(2.3 * x + 1), SAP, 0.45, 60, 50, 0.9, 0),
        (lambda x, y: y - 2.1 - 0.12 * np.sin(3.1 * x), FOREST, 0.32, 50, 50, 0.7, 0),
        (lambda x, y: 0.5 - np.hypot((x - 2.6) / 1.5, y - 2.2), OCHRE, 0.45, 50, 40, 0.5, 0),
        (lambda x, y: 0.66 - 4.8 * np.abs(y - 1 - 0.09 * np.sin(5 * x)), FOREST, 0.35, 2, 14, 0.6, 0.2),
    )
    for shape, *how in washes:
        s.wash(everywhere(shape), *how)


def paint(seed=17):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    s = Sheet(seed)
    meadow(s)
    rng = s.rng
    flowers = (
        (0.78, 1.12, 0.50, 0.80),
        (1.98, 0.78, 0.44, 0.72),
        (3.12, 1.22, 0.54, 0.82),
        (1.55, 1.75, 0.36, 0.60),
        (2.62, 2.05, 0.30, 0.70),
    )
    for cx, cy, _, _ in flowers:
        for width, colour, strength in ((0.032, SAP, 1.0), (0.014, FOREST, 0.7)):
            s.stroke([(cx, cy + 0.1), (cx + 0.1, 0.5 * cy + 1.5), (cx + 0.05, 3.15)], width, colour, strength)
    for k in range(95):
        x, y, lean, tall = rng.uniform(-0.1, 4.1), rng.uniform(2.6, 3.2), rng.normal(0, 0.22), rng.uniform(0.4, 1.3)
        blade = [(x, y), (x + 0.2 * lean, y - 0.6 * tall), (x + lean, y - tall)]
        colour = (SAP, FOREST, OLIVE, MINT, SAP, OLIVE, INDIGO)[k % 7]
        s.stroke(blade, rng.uniform(0.012, 0.04), colour, rng.uniform(0.45, 0.9), 0.35 * (k % 2))
    for where in ((0.35, 1.98, 0.2), (2.2, 1.52, 0.21), (3.62, 2.18, 0.22), (1.0, 2.35, 0.17)):
        cornflower(s, *where)
    for where in flowers:
        poppy(s, *where)
    bud(s, 1.36, 0.42)
    bud(s, 3.72, 0.72)
    for _ in range(150):
        drop = disc(rng.uniform(0, 4), rng.uniform(0, 3), 0.004 + 0.012 * rng.random() ** 3)
        s.wash(drop, (SCARLET, SAP, COBALT, CRIMSON, OCHRE)[rng.integers(5)], 0.7, 0.9, 1.0)
    return s.dried()
