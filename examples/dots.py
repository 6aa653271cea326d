"""A painting in dots: a summer afternoon on a river bank, as pure pigments side by side.

A composition gives every pixel a colour and a direction. Small dabs are set one by one, each in the pigment nearest to
the colour it should have after a shift of hue, so that only the eye mixes them.
"""

import numpy as np
from fields import along, contrast, eight_bit, mix, ramp, shrink, smooth_noise, smoothstep
from scipy.spatial import cKDTree

WIDTH, HEIGHT, SCALE = 640, 480, 3  # painted larger than shown, for clean edges

NAVY, BLUE, SKY, PALE = (0.09, 0.11, 0.32), (0.13, 0.27, 0.62), (0.42, 0.62, 0.85), (0.75, 0.86, 0.92)
BOTTLE, GREEN, GRASS, LIME = (0.06, 0.20, 0.15), (0.13, 0.40, 0.20), (0.42, 0.60, 0.18), (0.74, 0.80, 0.32)
YELLOW, CREAM, WHITE, PEACH = (0.97, 0.83, 0.30), (0.98, 0.93, 0.74), (0.98, 0.97, 0.93), (0.96, 0.74, 0.55)
ORANGE, RED, WINE, ROSE = (0.92, 0.50, 0.14), (0.80, 0.18, 0.12), (0.36, 0.08, 0.18), (0.88, 0.52, 0.56)
VIOLET, LILAC, TURQUOISE, UMBER = (0.32, 0.20, 0.50), (0.64, 0.56, 0.80), (0.24, 0.62, 0.62), (0.30, 0.18, 0.12)
PIGMENTS = np.array(
    [NAVY, BLUE, SKY, PALE, BOTTLE, GREEN, GRASS, LIME, YELLOW, CREAM, WHITE, PEACH]
    + [ORANGE, RED, WINE, ROSE, VIOLET, LILAC, TURQUOISE, UMBER]
)


class Composition:
    """What to paint over 4 by 3: `colour` (H, W, 3) and `flow` (H, W, 2), built up from back to front."""

    def __init__(self, rng):
        self.y, self.x = np.mgrid[0:HEIGHT, 0:WIDTH] * (4 / WIDTH)
        self.broad, self.fine = smooth_noise(self.x.shape, 28, rng), smooth_noise(self.x.shape, 6, rng)
        self.colour = np.zeros((HEIGHT, WIDTH, 3))
        self.flow = along(self.y + 0.06 * self.broad)

    def put(self, where, colour, flow=None):
        """Paint the pixels `where`; dabs follow the level lines of `flow`."""
        self.colour[where] = np.broadcast_to(colour, self.colour.shape)[where]
        if flow is not None:
            self.flow[where] = along(flow)[where]

    def ball(self, cx, cy, rx, ry, colours, rough=0.2):
        """A rounded mass, its `colours` from shade to light, lit from the upper left."""
        dx, dy = (self.x - cx) / rx, (self.y - cy) / ry
        r = np.hypot(dx, dy)
        light = 0.52 - 0.32 * (dx + dy) + 0.16 * self.fine
        self.put(r + rough * self.fine * 0.5 < 1, ramp(colours, light), r)

    def slab(self, at, top, bottom, colours):
        """A trapezium; `top` and `bottom` are (y, left, right) in units of `at`'s (x, y, size)."""
        cx, cy, size = at
        t = ((self.y - cy) / size - top[0]) / (bottom[0] - top[0])
        left, right = (cx + size * (top[k] + t * (bottom[k] - top[k])) for k in (1, 2))
        inside = (t >= 0) & (t <= 1) & (self.x >= left) & (self.x <= right)
        across = (right - self.x) / np.maximum(np.abs(right - left), 1e-6)
        self.put(inside, ramp(colours, across + 0.1 * self.fine), self.x)

    def limb(self, a, b, width, colours):
        """A trunk or branch from point `a` to `b`, thinning; its `colours` run from left to right."""
        along_x, along_y = b[0] - a[0], b[1] - a[1]
        t = ((self.x - a[0]) * along_x + (self.y - a[1]) * along_y) / (along_x**2 + along_y**2)
        across = (self.x - a[0] - t * along_x + 0.012 * self.fine) / (width * (1.25 - 0.5 * t))
        inside = (np.abs(across) < 1) & (t > 0) & (t < 1)
        self.put(inside, ramp(colours, 0.5 + 0.45 * across + 0.1 * self.fine), self.x)


def landscape(c):
    """Sky, the far bank with its houses and poplars, the river that mirrors them, and the near bank."""
    x, y, broad, fine = c.x, c.y, c.broad, c.fine
    cloud = smoothstep(0.2, 0.9, 0.7 * broad + 0.9 * np.sin(2.1 * x + 9 * y + broad) + 0.25 * fine)
    air = ramp([BLUE, SKY, PALE, CREAM, PEACH], y / 1.05 + 0.05 * fine)
    c.put(y > -1, mix(air, mix(CREAM, ROSE, 0.3 * (y > 0.5)), cloud))
    for cx, size in ((0.1, 0.2), (0.45, 0.15), (0.75, 0.12), (1.15, 0.1), (1.9, 0.1), (2.3, 0.14), (2.75, 0.12)):
        c.ball(cx, 1.02 - 0.5 * size, 1.5 * size, size, [NAVY, VIOLET, GREEN, TURQUOISE, GRASS, LIME])
    for cx in (0.98, 1.08, 1.2, 2.02):
        c.ball(cx, 0.86, 0.05, 0.27 - 0.08 * (cx % 0.3), [NAVY, BOTTLE, GREEN, GRASS])
    for cx, w, h in ((1.42, 0.13, 0.12), (1.66, 0.09, 0.17), (2.52, 0.11, 0.11)):
        c.slab((cx, 1.06, 1), (-h, -w, w), (0.02, -w, w), [LILAC, PEACH, WHITE])
        c.slab((cx, 1.06 - h, 1), (-0.10, -0.5 * w, 0.6 * w), (0, -1.1 * w, 1.1 * w), [WINE, RED, ORANGE])
    bank = 1.09 + 0.02 * np.sin(4 * x)
    c.put((y > 1.04) & (y < bank + 0.03), mix(LIME, YELLOW, 0.5 + 0.4 * fine), y)
    mirror = np.clip((2.12 - y) * HEIGHT / 3, 0, HEIGHT - 1).astype(int)
    shift = np.clip(x * WIDTH / 4 + 5 * np.sin(60 * y + 2 * broad) + 3 * fine, 0, WIDTH - 1).astype(int)
    seen = c.colour[np.where(y > 1.06, mirror, 0), shift]
    ripple = smoothstep(0.35, 0.9, np.sin(70 * y / (0.3 + 0.5 * y) + 3 * fine + 5 * broad))
    river = mix(mix(seen, BLUE, 0.25 + 0.2 * smoothstep(1.1, 2.2, y)), mix(SKY, WHITE, 0.5 + 0.3 * fine), 0.55 * ripple)
    c.put(y > bank, river, y + 0.01 * fine)
    for boat in ((0.62, 1.36, 0.42), (2.15, 1.2, 0.2), (1.52, 1.16, 0.13)):
        for k in range(7):  # the sail's broken mirror image
            low, w = 0.10 + 0.12 * k, 0.34 * (1 - k / 8)
            c.slab(boat, (low, -w, w), (low + 0.06, -w, w), [PEACH, WHITE])
        c.slab(boat, (-1.25, 0.03, 0.03), (-0.08, 0.03, 0.55), [LILAC, PEACH, CREAM])
        c.slab(boat, (-1.10, -0.03, -0.03), (-0.08, -0.42, -0.03), [WHITE, CREAM])
        c.slab(boat, (-0.03, -0.55, 0.60), (0.10, -0.42, 0.45), [WINE, RED, ORANGE])
    edge = 2.62 - 0.26 * x - 0.10 * x**2 + 0.03 * np.sin(9 * x) + 0.02 * fine
    light = smoothstep(-0.25, 0.35, np.sin(7.5 * (y - 0.55 * edge) - 0.8 * x + 0.3) + 0.45 * broad + 0.15)
    sunny = ramp([GREEN, GRASS, LIME, YELLOW, LIME], 0.5 + 0.22 * fine + 0.2 * broad)
    shade = ramp([NAVY, BOTTLE, GREEN, GRASS], 0.5 + 0.25 * fine)
    c.put(y > edge, mix(shade, sunny, light), y - 0.35 * edge + 0.05 * fine)
    c.put(np.abs(y - edge) < 0.025, mix(UMBER, VIOLET, 0.5 + 0.4 * fine), y - edge)


def lady(c, at, dress, parasol):
    """A lady with a parasol, standing; `at` is her foot's x and y, and her height."""
    cx, foot, s = at
    c.slab(at, (-0.01, -0.10, 1.00), (0.08, 0.00, 1.10), [BOTTLE, NAVY, VIOLET])  # her shadow
    c.slab(at, (-0.58, -0.06, 0.06), (0.00, -0.20, 0.23), dress)
    c.ball(cx + 0.10 * s, foot - 0.46 * s, 0.12 * s, 0.10 * s, dress, 0)
    c.slab(at, (-0.78, -0.09, 0.09), (-0.55, -0.06, 0.06), dress)
    c.ball(cx - 0.01 * s, foot - 0.85 * s, 0.055 * s, 0.07 * s, [UMBER, PEACH, PEACH], 0)
    c.ball(cx, foot - 0.91 * s, 0.09 * s, 0.04 * s, [WINE, UMBER, ORANGE], 0)
    c.slab(at, (-1.10, -0.17, -0.14), (-0.62, -0.13, -0.10), [UMBER, UMBER])
    dx, dy = (c.x - cx + 0.15 * s) / (0.34 * s), (c.y - foot + 0.97 * s) / (0.24 * s)
    r, rib = np.hypot(dx, dy), 0.5 - 0.4 * dx + 0.18 * np.sin(9 * np.arctan2(dy, dx))
    c.put((r < 1) & (dy < 0.15 * np.abs(np.sin(5 * dx)) - 0.1), ramp(parasol, rib), r)


def compose(rng):
    """The whole composition."""
    c = Composition(rng)
    landscape(c)
    bark = [ORANGE, UMBER, WINE, VIOLET, NAVY]
    c.limb((3.32, 3.0), (3.44, 0.4), 0.10, bark)
    c.limb((3.44, 1.3), (2.90, 0.5), 0.035, bark)
    c.limb((3.42, 1.1), (3.90, 0.4), 0.04, bark)
    leaves = [NAVY, BOTTLE, GREEN, GREEN, GRASS, LIME, YELLOW]
    for k in range(26):
        a, r = k * 2.4, np.sqrt((k + 0.5) / 26)
        cx, cy = 3.42 + 0.88 * r * np.cos(a), 0.40 + 0.46 * r * np.sin(a)
        c.ball(cx, cy, rng.uniform(0.16, 0.3), rng.uniform(0.1, 0.2), leaves)
    lady(c, (1.95, 2.62, 0.95), [NAVY, VIOLET, LILAC, ROSE], [WINE, RED, ORANGE, YELLOW])
    lady(c, (2.72, 2.18, 0.62), [LILAC, PEACH, CREAM, WHITE], [VIOLET, BLUE, TURQUOISE, PALE])
    return c


def dab(radius, stretch, angle, rough, rng):
    """The stamp of one dab: how much it covers, and how high its paint stands, two square arrays."""
    n = int(radius * stretch) + 2
    y, x = np.mgrid[-n : n + 1, -n : n + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    r = np.hypot(u / stretch, v) / radius + rough * smooth_noise(x.shape, 2.5, rng)
    return smoothstep(1.08, 0.92, r), 1 - 0.45 * np.clip(1 - r, 0, 1) + 0.2 * smooth_noise(x.shape, 1.5, rng)


def dabs(picture, pigments, radius, cover, shift, least, rng):
    """Dabs of one brush: rows, columns and paints of each, the stamps they use, and which of them."""
    there = np.flatnonzero(contrast(picture.colour, 2) >= least)  # small dabs go where something small is drawn
    count, turns = int(cover * len(there) / (np.pi * radius**2)), 24
    rows, columns = np.divmod(rng.choice(there, count), WIDTH)
    flow, colour = picture.flow[rows, columns], picture.colour[rows, columns]
    angle = np.arctan2(flow[:, 1], flow[:, 0]) / np.pi * turns + rng.normal(0, 1.5, count)
    pure = PIGMENTS[pigments.query(colour + shift * rng.standard_normal((count, 3)) * [1.0, 0.7, 1.1])[1]]
    paints = np.clip(mix(pure, colour, 0.15) * (1 + 0.05 * rng.standard_normal((count, 1))), 0, 1)
    stamps = [
        dab(radius * SCALE * rng.uniform(0.85, 1.1), rng.uniform(1.0, 1.5), np.pi * k / turns, 0.09, rng)
        for k in range(turns * 6)
    ]
    return rows, columns, paints, stamps, np.round(angle).astype(int) % turns + turns * (np.arange(count) % 6)


def paint(seed=11):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    picture, pigments = compose(rng), cKDTree(PIGMENTS)
    weave = smooth_noise((HEIGHT * SCALE, WIDTH * SCALE), 2, rng)
    colour, height = np.array(CREAM) * (0.9 + 0.03 * weave[..., None]), 0.3 + 0.1 * weave
    for brush in ((5.0, 2.2, 0.07, 0), (3.9, 2.0, 0.11, 0), (2.5, 2.2, 0.11, 0.06)):
        rows, columns, paints, stamps, which = dabs(picture, pigments, *brush, rng)
        for k, stamp in enumerate(which):
            cover, thick = stamps[stamp]
            n = len(cover) // 2
            top, left = rows[k] * SCALE - n, columns[k] * SCALE - n
            window = np.s_[max(0, top) : top + 2 * n + 1, max(0, left) : left + 2 * n + 1]
            patch = height[window]
            inside = np.s_[max(0, -top) :, max(0, -left) :]
            alpha, thick = (a[inside][: patch.shape[0], : patch.shape[1]] for a in (cover, thick))
            patch += alpha * (thick - patch)
            colour[window] += alpha[..., None] * (paints[k] - colour[window])
    dy, dx = np.gradient(height)
    return eight_bit(shrink(colour * np.clip(1 - 0.35 * dx - 0.45 * dy, 0.75, 1.2)[..., None], SCALE))
