"""A mosaic: two fishes that circle in a whirl of water, in stone and glass, with a border.

Tesserae are cells of a Voronoi diagram whose metric is a square's, turned along the drawing's contours: Lloyd's
iteration spreads them evenly, in rows. Each is one colour; between them lies grout.
"""

import numpy as np
from fields import along, contrast, eight_bit, fbm, mix, ramp, shrink, smooth_noise, smoothstep
from scipy import ndimage
from scipy.spatial import cKDTree

WIDTH, HEIGHT, SCALE = 576, 432, 2
TILE = 7.8  # a tessera's side in pixels of the picture

GROUT = (0.36, 0.33, 0.30)
NAVY, BLUE, AZURE, TURQUOISE = (0.05, 0.09, 0.28), (0.08, 0.25, 0.58), (0.20, 0.50, 0.76), (0.25, 0.66, 0.66)
FOAM, IVORY, GOLD, AMBER = (0.72, 0.86, 0.80), (0.93, 0.89, 0.77), (0.90, 0.70, 0.22), (0.78, 0.46, 0.12)
CORAL, RED, WINE, BLACK = (0.90, 0.45, 0.30), (0.72, 0.16, 0.10), (0.36, 0.06, 0.12), (0.08, 0.07, 0.08)
OLIVE, SEA = (0.45, 0.52, 0.20), (0.10, 0.42, 0.40)


class Cartoon:
    """The drawing over 4 by 3: `colour` (H, W, 3), `flow` (H, W, 2), and `edge`, where rows must follow outlines."""

    def __init__(self, rng):
        self.y, self.x = np.mgrid[0:HEIGHT, 0:WIDTH] * (4 / WIDTH)
        self.noise = smooth_noise(self.x.shape, 40, rng)
        self.colour, self.flow = np.zeros((HEIGHT, WIDTH, 3)), np.zeros((HEIGHT, WIDTH, 2))

    def put(self, where, colour, flow):
        """Fill the pixels `where`; rows follow the level lines of `flow`."""
        self.colour[where] = np.broadcast_to(colour, self.colour.shape)[where]
        self.flow[where] = along(flow)[where]


def water(c):
    """A whirl of rings, dark and light, about the middle."""
    dx, dy = c.x - 2, c.y - 1.5
    r, a = np.hypot(dx, dy), np.arctan2(dy, dx)
    spiral = r + 0.05 * a / np.pi * 2 + 0.03 * np.sin(5 * a + 6 * r) + 0.03 * c.noise
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * spiral / 0.30 + a)
    deep = ramp([NAVY, BLUE, AZURE, TURQUOISE, FOAM], 0.08 + 0.84 * wave)
    light = ramp([SEA, TURQUOISE, FOAM, IVORY], wave)
    c.put(r >= 0, mix(light, deep, smoothstep(0.25, 0.95, r + 0.1 * c.noise)), spiral)
    sun = r + 0.02 * np.sin(8 * a)
    c.put(sun < 0.30, ramp([IVORY, GOLD, GOLD, AMBER, CORAL, RED], sun / 0.30), sun)


def fish(c, turn, warm):
    """A fish bent along its circle, from nose to tail, with scales, fins and an eye."""
    dx, dy = c.x - 2, c.y - 1.5
    a = (np.arctan2(dy / 0.86, dx) - turn + np.pi) % (2 * np.pi) - np.pi  # 0 at the fish's middle, the nose at +
    v = np.hypot(dx, dy / 0.86) - 0.90 + 0.05 * np.sin(2.6 * a)  # out from the spine
    u = a * 0.80
    half = 0.26 * np.clip(1 - np.abs((u - 0.10) / 0.86) ** 2.2, 0, 1) ** 0.8 + 0.05 * (u < 0) * (u > -0.85)
    spread = smoothstep(-0.62, -1.02, u)
    tail = (np.abs(v) < 0.34 * spread + 0.05) & (u < -0.6) & (u > -1.02 - 0.5 * np.abs(v))
    stops = [WINE, RED, CORAL, GOLD, IVORY] if warm else [NAVY, SEA, OLIVE, GOLD, IVORY]
    fins = [WINE, RED, GOLD, RED] if warm else [WINE, CORAL, GOLD, RED]
    ray = 0.5 + 0.5 * np.sin(15 * np.arctan2(v, u + 0.45))
    c.put(tail, ramp(fins, ray), v - 0.4 * np.sign(v) * u * 0.5)
    for side, low, high, reach in ((1, -0.50, 0.50, 0.22), (-1, -0.42, -0.02, 0.20), (-1, 0.12, 0.46, 0.17)):
        hump = np.sin(np.pi * np.clip((u - low) / (high - low), 0, 1)) ** 0.6
        fin = (side * v > half - 0.02) & (side * v < half + reach * hump) & (hump > 0.05) & (u > low) & (u < high)
        c.put(fin, ramp(fins, 0.5 + 0.5 * np.sin(26 * u + 10 * side * v)), u + 0.5 * side * v)
    body = np.abs(v) < half
    scale = np.hypot(((u / 0.15 + 0.5 * (np.floor(v / 0.105) % 2)) % 1) - 0.9, (v / 0.105) % 1 - 0.5)
    shade = 0.5 - 1.4 * v + 0.6 * (scale - 0.5)
    c.put(body, ramp(stops, shade), v / np.maximum(half, 0.05))
    head = body & (u > 0.47 + 0.12 * np.cos(7 * v))
    c.put(head, ramp(stops[1:], 0.62 - 1.2 * v), u + 0.6 * v**2)
    c.put(body & (np.abs(u - 0.46 - 0.12 * np.cos(7 * v)) < 0.028), GOLD if warm else IVORY, u - 0.12 * np.cos(7 * v))
    c.put((np.abs(np.abs(v) - half) < 0.028) & (u > -0.85) & (u < 0.9), BLACK, v - half * np.sign(v))
    eye = np.hypot(u - 0.60, v - 0.01)
    c.put(eye < 0.10, IVORY, eye)
    c.put(eye < 0.055, BLACK, eye)


def border(c):
    """A frame: a line of red, a wave of gold and blue, a line of ivory."""
    d = np.minimum(np.minimum(c.x, 4 - c.x), np.minimum(c.y, 3 - c.y))
    s = np.where(np.minimum(c.x, 4 - c.x) < np.minimum(c.y, 3 - c.y), c.y, c.x)
    guilloche = np.abs(d - 0.17 - 0.085 * np.sin(2 * np.pi * s / 0.5))
    other = np.abs(d - 0.17 + 0.085 * np.sin(2 * np.pi * s / 0.5))
    c.put(d < 0.36, NAVY, d)
    c.put((d < 0.33) & (np.hypot((s / 0.25) % 1 - 0.5, (d - 0.17) / 0.25) < 0.17), RED, d)
    c.put((d < 0.33) & (other < 0.040), CORAL, d + 0.085 * np.sin(2 * np.pi * s / 0.5))
    c.put((d < 0.33) & (guilloche < 0.040), GOLD, d - 0.085 * np.sin(2 * np.pi * s / 0.5))
    c.put((d > 0.31) & (d < 0.38), IVORY, d)
    c.put(d < 0.045, WINE, d)


def draw(rng):
    """The whole cartoon."""
    c = Cartoon(rng)
    water(c)
    for turn, warm in ((-2.5, True), (0.64, False)):
        fish(c, turn, warm)
    border(c)
    return c


def nearest(sites, angle, points):
    """Index of each point's tessera, and the gap (n,) between the square distances to it and to the next."""
    _, k = cKDTree(sites).query(points, 9)
    d = points[:, None] - sites[k]
    c, s = np.cos(angle[k]), np.sin(angle[k])
    u, v = np.abs(c * d[..., 0] + s * d[..., 1]), np.abs(c * d[..., 1] - s * d[..., 0])
    far = (u**6 + v**6) ** (1 / 6)
    order = np.argpartition(far, 1, 1)
    first, second = np.take_along_axis(far, order[:, :2], 1).T
    return np.take_along_axis(k, order[:, :1], 1)[:, 0], second - first


def lay(c, rng):
    """The tesserae's centres (n, 2) as (x, y) in pixels, and their angles (n,)."""
    n = round(WIDTH * HEIGHT / TILE**2)
    sites = rng.uniform((0, 0), (WIDTH, HEIGHT), (n, 2))
    y, x = np.mgrid[0.75:HEIGHT:1.5, 0.75:WIDTH:1.5]
    points = np.stack([x.ravel(), y.ravel()], 1)
    outline = contrast(c.colour, 0.8)
    weight = 1 / (0.25 + 4 * np.minimum(outline, 0.4))  # cells shun outlines, so that their edges lie there
    weight = weight[points[:, 1].astype(int), points[:, 0].astype(int)]

    def angles():
        i, j = np.clip(sites[:, ::-1].astype(int), 0, (HEIGHT - 1, WIDTH - 1)).T
        return np.arctan2(c.flow[i, j, 1], c.flow[i, j, 0])

    for _ in range(22):
        owner, _gap = nearest(sites, angles(), points)
        mass = np.bincount(owner, weight, n) + 1e-9
        sites = np.stack([np.bincount(owner, weight * points[:, axis], n) / mass for axis in (0, 1)], 1)
        lost = mass < 1e-6
        sites[lost] = rng.uniform((0, 0), (WIDTH, HEIGHT), (lost.sum(), 2))
    return sites, angles()


def paint(seed=5):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    c = draw(rng)
    sites, angle = lay(c, rng)
    y, x = (np.mgrid[0 : HEIGHT * SCALE, 0 : WIDTH * SCALE] + 0.5) / SCALE
    rough = fbm((1024, 2048), 1.3, 40, seed)[: x.shape[0], : x.shape[1]]
    points = np.stack([x.ravel(), y.ravel()], 1)
    owner, gap = nearest(sites, angle + rng.normal(0, 0.05, len(sites)), points)
    owner, gap = owner.reshape(x.shape), gap.reshape(x.shape) + 0.22 * rough
    soft = ndimage.gaussian_filter(c.colour, (0.8, 0.8, 0))
    i, j = np.clip(sites[:, ::-1].astype(int), 0, (HEIGHT - 1, WIDTH - 1)).T
    stone = soft[i, j] * (1 + 0.10 * rng.standard_normal((len(sites), 1)))
    stone += 0.025 * rng.standard_normal((len(sites), 3))
    tilt = rng.normal(0, 0.055, (len(sites), 2))
    shine = (x - sites[owner, 0]) * tilt[owner, 0] + (y - sites[owner, 1]) * tilt[owner, 1]
    face = stone[owner] * (1 + 0.35 * shine + 0.05 * rough)[..., None]
    face += (0.22 * smoothstep(0.5, 1.0, shine + tilt[owner].sum(-1)))[..., None]  # a glint of glass
    height = smoothstep(0.5, 2.6, gap)
    dy, dx = np.gradient(ndimage.gaussian_filter(height, 0.7))
    grout = np.array(GROUT) * (0.85 + 0.10 * rough)[..., None]
    light = mix(grout, face, smoothstep(0.5, 1.2, gap)) * np.clip(1 + 0.9 * dx + 1.1 * dy, 0.55, 1.5)[..., None]
    return eight_bit(shrink(light, SCALE))
