"""A cubist still life: guitar, bottle, glass and fruit on a table, seen from many sides at once.

The canvas is cut into facets. Each sees the same still life turned and moved a little, is shaded from one edge to the
other, and has brush marks of its own direction.
"""

import numpy as np
from fields import eight_bit, fbm, mix, ramp, sample, shrink, smoothstep
from scipy import ndimage

WIDTH, HEIGHT, SCALE = 640, 480, 2

BLACK, UMBER, SIENNA, OCHRE = (0.08, 0.07, 0.09), (0.28, 0.17, 0.11), (0.63, 0.29, 0.12), (0.84, 0.60, 0.24)
CREAM, BONE, ROSE, BRICK = (0.95, 0.89, 0.72), (0.80, 0.74, 0.63), (0.82, 0.55, 0.46), (0.70, 0.18, 0.12)
SLATE, TEAL, STEEL, PRUSSIAN = (0.30, 0.36, 0.42), (0.12, 0.40, 0.42), (0.52, 0.64, 0.70), (0.08, 0.16, 0.32)
MOSS, LIME = (0.22, 0.32, 0.16), (0.62, 0.66, 0.28)


def still_life(x, y):
    """Colour (..., 3) and outline (...) of the subject at points over 4 by 3."""
    paper = ramp([PRUSSIAN, TEAL, STEEL], 0.5 + 0.3 * (y - 1) + 0.2 * np.sign(np.sin(7 * x)))
    colour = mix(paper, OCHRE, 0.8 * (np.hypot((7 * x / np.pi) % 1 - 0.5, (3 * y) % 1 - 0.5) < 0.2))
    line = np.zeros_like(x)

    def put(depth, fill):
        """Fill where `depth`, in units of the canvas, is positive, and outline it."""
        nonlocal colour, line
        inside = smoothstep(-0.006, 0.006, depth)
        colour = mix(colour, fill, inside)
        line = np.maximum(line * (1 - inside), smoothstep(0.018, 0.008, np.abs(depth)))

    def halves(dark, light, side):
        return np.where((side > 0)[..., None], light, dark)

    put(0.62 - np.maximum(np.abs(x - 3.35), np.abs(y - 0.55)), halves(STEEL, CREAM, np.sin(9 * (x + y))))  # window
    rings = np.hypot(0.4 * (x - 0.9), y - 2.6) + 0.04 * np.sin(5 * x)
    table = y - 1.55 - 0.22 * np.abs(x - 1.9)
    put(table, ramp([UMBER, SIENNA, OCHRE, SIENNA], 0.5 + 0.5 * np.sin(40 * rings)))
    cloth = 0.9 - np.abs(x - 2.8) - np.abs(y - 2.5) * 0.9
    put(cloth, halves(BONE, CREAM, np.sin(16 * (x - 0.6 * y))))
    u, v = 0.83 * (x - 1.45) - 0.55 * (y - 1.75), 0.55 * (x - 1.45) + 0.83 * (y - 1.75)  # v along the guitar, down
    neck = np.minimum(0.075 - np.abs(u), np.minimum(v + 1.75, 0.2 - v))
    head = np.minimum(0.13 - np.abs(u), 0.17 - np.abs(v + 1.72))
    upper, lower = 0.42 - np.hypot(u, v + 0.10), 0.58 - np.hypot(u * 0.95, v - 0.55)
    body = np.maximum(upper, lower) + 0.05 * np.exp(-((v - 0.2) ** 2) / 0.02)
    put(body, halves(SIENNA, OCHRE, u + 0.1 * np.sin(3 * v)))
    put(np.minimum(body - 0.05, 0.2 - np.abs(np.abs(u) - 0.3)), halves(BRICK, ROSE, v - 0.3))
    put(0.17 - np.hypot(u, v - 0.12), BLACK)
    put(neck, halves(UMBER, BLACK, u))
    put(head, halves(BRICK, UMBER, u))
    put(np.minimum(0.26 - np.abs(u), 0.035 - np.abs(v - 0.75)), BLACK)
    strings = np.minimum(0.07 - np.abs(u), np.minimum(v + 1.7, 0.75 - v)) > 0
    line = line * (1 - strings)
    colour = mix(colour, CREAM, strings * smoothstep(0.25, 0.6, np.cos(2 * np.pi * u / 0.046)))
    w = np.abs(x - 2.55)
    flask = np.minimum(0.25 - w, np.minimum(y - 1.05, 2.05 - y))
    flask = np.maximum(flask, np.minimum(0.095 - w, np.minimum(y - 0.35, 1.4 - y)))
    flask = np.maximum(flask, 0.25 - np.hypot(x - 2.55, y - 1.08))
    put(flask, halves((0.08, 0.18, 0.12), (0.20, 0.47, 0.30), x - 2.5))
    put(np.minimum(0.25 - w, 0.22 - np.abs(y - 1.5)), halves(CREAM, ROSE, y - 1.5 + 0.4 * (x - 2.5)))
    put(np.minimum(0.11 - w, 0.05 - np.abs(y - 0.38)), BRICK)
    g = np.abs(x - 3.32)
    cup = np.minimum(0.27 - 0.12 * (y - 1.15) ** 2 / 0.2 - g, np.minimum(y - 1.15, 1.68 - y))
    stem, base = np.minimum(0.03 - g, 0.30 - np.abs(y - 1.9)), 0.21 - np.hypot(g, 4 * (y - 2.2))
    put(np.maximum(np.maximum(cup, stem), base), halves(STEEL, BONE, x - 3.3))
    put(np.minimum(cup, y - 1.38), halves(BRICK, SIENNA, x - 3.25))
    apple, pear, plum = (2.75, 2.35, 0.25, BRICK, OCHRE), (3.2, 2.5, 0.23, MOSS, LIME), (2.35, 2.55, 0.21, SIENNA, ROSE)
    for cx, cy, r, dark, light in (apple, pear, plum):
        put(r - np.hypot(x - cx, y - cy), halves(dark, light, cx - x - 0.6 * (y - cy)))
    return colour, line


class Facets:
    """Pieces of the canvas: `owner` (h, w), `edge` (h, w) in pixels, and each piece's middle and size."""

    def __init__(self, x, y, rng):
        self.owner, self.edge = np.zeros(x.shape, int), np.full(x.shape, 1e9)
        self.count = 1
        pieces = [np.arange(x.size)]
        x, y, owner, edge = x.ravel(), y.ravel(), self.owner.ravel(), self.edge.ravel()
        while self.count < 74:
            k = int(np.argmax([len(p) * rng.uniform(0.5, 1.5) for p in pieces]))
            p = pieces[k]
            cx, cy = x[p].mean() + rng.normal(0, 0.06), y[p].mean() + rng.normal(0, 0.06)
            spread = np.cov(x[p], y[p])
            a = np.arctan2(*np.linalg.eigh(spread)[1][::-1, 1]) + rng.normal(0, 0.5)  # across the longer way
            a += 0.25 * np.sin(4 * (a - 0.6))  # a few directions prevail
            d = (x[p] - cx) * np.cos(a) + (y[p] - cy) * np.sin(a)
            if rng.random() < 0.3:  # an arc
                r = rng.uniform(0.6, 1.4)
                d = r - np.hypot(x[p] - cx + r * np.cos(a), y[p] - cy + r * np.sin(a))
            edge[p] = np.minimum(edge[p], np.abs(d))
            pieces[k], other = p[d > 0], p[d <= 0]
            pieces.append(other)
            owner[other] = self.count
            self.count += 1
        self.middle = np.array([(x[p].mean(), y[p].mean()) for p in pieces])
        self.size = np.array([np.sqrt(len(p)) for p in pieces]) * (4 / self.owner.shape[1])


def paint(seed=4):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : HEIGHT * SCALE, 0 : WIDTH * SCALE] * (4 / (WIDTH * SCALE))
    wobble = [0.0035 * fbm((1024, 2048), 2.0, 150, seed + k)[: x.shape[0], : x.shape[1]] for k in (0, 1)]
    x, y = x + wobble[0], y + wobble[1]
    f = Facets(x, y, rng)
    turn, zoom = rng.normal(0, 0.15, f.count), rng.uniform(0.85, 1.1, f.count)
    move = rng.normal(0, 0.075, (f.count, 2))
    dx, dy = x - f.middle[f.owner, 0], y - f.middle[f.owner, 1]
    c, s = np.cos(turn)[f.owner] * zoom[f.owner], np.sin(turn)[f.owner] * zoom[f.owner]
    seen_x, seen_y = (f.middle + move)[f.owner].transpose(2, 0, 1)
    colour, line = still_life(seen_x + c * dx - s * dy, seen_y + s * dx + c * dy)

    # Light falls off across each facet; now and then another pigment has the facet for itself.
    way = rng.uniform(0, 2 * np.pi, f.count)
    across = (dx * np.cos(way)[f.owner] + dy * np.sin(way)[f.owner]) / f.size[f.owner]
    pigments = np.array([OCHRE, CREAM, SLATE, TEAL, BONE, SIENNA, PRUSSIAN, ROSE])
    glaze = pigments[rng.integers(len(pigments), size=f.count)]
    amount = np.where(rng.random(f.count) < 0.25, 0.55, 0.18)[f.owner]
    colour = mix(colour, glaze[f.owner], amount * smoothstep(0.6, -0.5, across))
    light = np.clip(0.5 + 0.85 * across, 0, 1)
    colour = mix(colour * 0.42, colour, smoothstep(0, 0.55, light))
    colour = mix(colour, CREAM, 0.5 * smoothstep(0.62, 1.0, light))

    # Brush marks: short dabs across the light's direction, that change the colour and leave ridges.
    hair, dabs = fbm((1024, 1024), 0.7, 24, seed + 2), fbm((1024, 1024), 1.2, 64, seed + 3)
    lean = (np.round(way / 0.4) * 0.4 + np.pi / 2)[f.owner]
    u, v = x * np.cos(lean) + y * np.sin(lean), y * np.cos(lean) - x * np.sin(lean)
    own = 37.0 * f.owner
    streak = sample(hair, v * 330 + own, u * 40 + own)
    dab = sample(dabs, v * 200 + own, u * 60 + own)
    colour = colour * (1 + 0.10 * dab + 0.05 * streak)[..., None] + 0.025 * dab[..., None] * np.array([1, 0.2, -1])
    edge = f.edge * (WIDTH * SCALE / 4)
    ink = smoothstep(2.6, 1.0, edge + 0.5 * streak) * (0.35 + 0.65 * smoothstep(0.55, 0.2, light))
    colour = mix(colour, CREAM, 0.5 * smoothstep(7, 2, edge) * smoothstep(0.5, 0.8, light))
    colour = mix(colour, BLACK, 0.85 * ink)
    colour = mix(colour, BLACK, 0.85 * line * smoothstep(-1.6, -0.4, streak + dab + 0.8))
    height = ndimage.gaussian_filter(0.9 * streak + 1.0 * dab + 1.5 * smoothstep(0, 5, edge), 0.8)
    gy, gx = np.gradient(height)
    return eight_bit(shrink(colour * np.clip(1 + 0.13 * gx + 0.17 * gy, 0.7, 1.3)[..., None], SCALE))
