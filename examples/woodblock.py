"""A woodblock print: a boat among waves before a snowy mountain, at sunrise.

Every colour has a block of its own: flat ink on soft paper, with the wood's grain, a wiped gradient, and a slight
misfit. Dark outlines from the key block are printed last.
"""

import numpy as np
from fields import eight_bit, fbm, mix, ramp, sample, shrink, smoothstep
from scipy import ndimage

WIDTH, HEIGHT, SCALE = 640, 480, 2

PAPER, KEY = (0.95, 0.90, 0.78), (0.09, 0.11, 0.22)
INDIGO, PRUSSIAN, AQUA, MIST = (0.10, 0.18, 0.38), (0.13, 0.33, 0.55), (0.47, 0.68, 0.72), (0.80, 0.86, 0.80)
VERMILION, PEACH, SAND, PINE = (0.83, 0.24, 0.15), (0.95, 0.70, 0.50), (0.86, 0.70, 0.42), (0.17, 0.34, 0.26)


class Print:
    """The sheet: `colour` (h, w, 3), coordinates over 4 by 3, and where the key block will print."""

    def __init__(self, seed):
        shape = HEIGHT * SCALE, WIDTH * SCALE
        self.y, self.x = np.mgrid[0 : shape[0], 0 : shape[1]] * (4 / shape[1])
        self.rough = fbm((1024, 2048), 1.4, 60, seed)[: shape[0], : shape[1]]
        self.wobble = fbm((1024, 2048), 2.2, 200, seed + 1)[: shape[0], : shape[1]]
        rings = fbm((1024, 1024), 1.6, 300, seed + 2)
        board = sample(rings, self.y * 90 + 12 * self.wobble, self.x * 7)
        self.grain = 0.6 * np.sin(16 * board + 60 * self.y) + 0.4 * sample(rings, self.y * 400, self.x * 12)
        self.speck = fbm((1024, 2048), 0.4, 20, seed + 3)[: shape[0], : shape[1]]
        fibre = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0.8, 5))
        self.colour = np.array(PAPER) * (1 + 0.015 * self.rough + 0.25 * fibre)[..., None]
        self.key = np.zeros(shape)
        self.misfit = np.zeros(2)

    def ink(self, where, colour, strength=1.0):
        """Print the area where `where` (h, w), in pixels, is positive; `colour` is one or a field, laid on thinly."""
        where = ndimage.shift(where, self.misfit, order=1, mode="nearest") + 0.5 * self.rough
        cover = smoothstep(-0.6, 0.6, where) * strength * (0.93 + 0.06 * self.grain)
        cover = cover * smoothstep(-2.9, -2.0, self.speck + 0.3 * self.grain)  # where the ink did not take
        rim = 0.08 * np.exp(-((where - 2.5) ** 2) / 4)  # ink squeezed to the edge of the cut
        tone = np.asarray(colour) * (1 + 0.035 * self.grain - rim)[..., None]
        self.colour = mix(self.colour, tone, np.clip(cover, 0, 1))

    def clear(self, where):
        """Leave paper, and no line of what lies behind."""
        self.ink(where, PAPER)
        self.key *= smoothstep(0.5, -0.5, where)

    def line(self, distance, width, where=1.0):
        """A carved line where `distance` (h, w), in pixels, is 0, swelling and thinning like a brush's."""
        width = width * (1 + 0.35 * np.clip(self.wobble, -2, 2)) + 0.25 * self.rough
        self.key = np.maximum(self.key, smoothstep(0.7, -0.7, np.abs(distance) - width) * where)

    def pull(self):
        """The finished print, after the key block."""
        cover = self.key * (0.94 + 0.05 * self.grain) * smoothstep(-2.7, -2.0, self.speck)
        return eight_bit(shrink(mix(self.colour, KEY, np.clip(cover, 0, 1)), SCALE))


def pixels(field):
    """The `field`, divided by its slope: about the distance in pixels to its zero."""
    dy, dx = np.gradient(field)
    return field / np.maximum(np.hypot(dx, dy), 1e-5)


def sky(p):
    """A wiped evening blue above, a glow below, the sun, and bars of mist."""
    p.ink(np.full_like(p.x, 9.0), PEACH, 0.75 * smoothstep(0.7, 1.9, p.y + 0.02 * p.grain))
    p.ink(np.full_like(p.x, 9.0), INDIGO, smoothstep(0.62, 0.02, p.y + 0.015 * p.grain))
    p.ink(np.full_like(p.x, 9.0), AQUA, 0.5 * smoothstep(1.2, 0.45, p.y + 0.015 * p.grain) * smoothstep(0.1, 0.5, p.y))
    p.misfit = np.array([1.0, -1.5])
    sun = 160 * (0.5 - np.hypot(p.x - 3.02, p.y - 0.92)) * 2
    p.ink(sun, ramp([VERMILION, VERMILION, (0.91, 0.42, 0.24)], (p.y - 0.42) / 1.0))
    p.line(sun, 1.0)


def mountain(p):
    """A volcano: a snow cap with long tongues, and slopes that fade into the mist."""
    d = np.abs(p.x - 1.3)
    slope = p.y - 0.42 - 1.25 * (1 - np.exp(-0.95 * np.maximum(d - 0.1, 0))) - 0.012 * p.wobble
    body = pixels(slope)
    p.misfit = np.array([-1.0, 1.0])
    p.clear(body)
    tongue = 0.72 + 0.30 * np.abs(np.sin(7.5 * p.x + 0.8 * p.wobble)) + 0.12 * np.sin(17 * p.x + p.wobble)
    p.ink(np.minimum(body, pixels(p.y - tongue)), ramp([INDIGO, PRUSSIAN, AQUA, PEACH], (p.y - 0.6) / 1.05))
    p.line(body, 1.6)
    p.line(pixels(p.y - tongue), 0.8, body > 2)
    crease = np.sin(22 * (p.x - 1.3) / (0.3 + 1.1 * np.maximum(p.y - 0.35, 0.05)) + 0.6 * p.wobble)
    p.line(pixels(crease), 0.55, (body > 8) * (p.y < tongue - 0.03) * (p.wobble > -0.3))
    for cx, cy, w in ((0.5, 1.30, 0.75), (1.95, 1.42, 0.95), (2.9, 1.24, 0.5), (1.0, 1.56, 0.8), (3.7, 1.5, 0.6)):
        bar = 320 * (0.05 - np.hypot(np.maximum(np.abs(p.x - cx) - w, 0), p.y - cy - 0.004 * p.wobble))
        p.clear(bar)
        p.line(bar, 0.8)


def wave(p, base, tall, pace, phase, lean, tones):
    """One row of waves: crests that lean over, striped along their backs, with clawed foam and spray."""
    x = p.x + lean * np.sin(pace * p.x + phase + 0.9)
    swell = 0.5 + 0.5 * np.sin(pace * x + phase)
    top = base - tall * swell**2.2 - 0.02 * p.wobble
    depth = p.y - top
    claw = 0.035 * np.abs(np.sin(24 * x + 3 * np.sin(5 * x))) + 0.02 * np.abs(np.sin(57 * x + 2 * p.wobble))
    body = pixels(depth + claw * swell)
    p.clear(body)
    p.misfit = np.random.default_rng(int(100 * base)).normal(0, 1.0, 2)
    foam = 0.05 + 0.16 * swell**2 + 0.04 * np.abs(np.sin(19 * x + 40 * depth * swell)) * swell
    under = pixels(depth - foam)
    p.ink(under, ramp(tones, (depth - foam) / 0.65))
    back = (depth - foam) * (1 - 0.35 * swell)
    stripe = np.sin(60 * back + 1.3 * np.sin(2.2 * pace * x) + 0.5 * p.wobble)
    fat = pixels(stripe - 0.55 + 0.5 * smoothstep(0.1, 0.6, depth))
    p.ink(np.minimum(fat, under - 4), MIST)
    p.line(fat, 0.55, under > 4)
    p.line(body, 1.7)
    p.line(under, 1.0, swell > 0.12)
    curl = pixels(np.sin(34 * x + 26 * depth + 1.5 * p.wobble) - 0.3)
    p.line(curl, 0.5, (body > 5) * (under < -5) * (swell > 0.35))


def boat(p, cx, cy, s):
    """A rowing boat with a square sail, its hull rising to a tall stem."""
    u, v = (p.x - cx) / s, (p.y - cy) / s
    u, v = u + 0.16 * v, v - 0.16 * u
    sail = 160 * s * 2 * np.minimum(0.42 - np.abs(u - 0.05 - 0.12 * np.cos(2.2 * v + 1.6)), 0.5 - np.abs(v + 0.72))
    sheer = v - 0.10 + 0.32 * np.abs(u) ** 2.6
    hull = 160 * s * 2 * np.minimum(np.minimum(sheer, 0.22 - v + 0.05 * u), 1.05 - np.abs(u))
    mast = 160 * s * 2 * np.minimum(0.03 - np.abs(u - 0.02), 0.75 - np.abs(v + 0.6))
    p.misfit = np.array([0.7, 0.9])
    for part, colour in ((mast, SAND), (sail, PAPER), (hull, SAND)):
        p.key *= smoothstep(0.5, -0.5, part)
        p.ink(part, colour)
        p.line(part, 1.2)
    p.ink(np.minimum(sail, pixels(np.sin(7.5 * v + 1.2))), VERMILION)
    p.line(160 * s * 2 * (np.abs(u - 0.05 - 0.12 * np.cos(2.2 * v + 1.6)) - 0.14), 0.6, sail > 0)
    p.ink(np.minimum(hull, 320 * s * (sheer - 0.10)), INDIGO)
    for k in range(4):
        r = 320 * s * (0.10 - np.hypot(u + 0.72 - 0.28 * k - 0.5 * (k > 1), v - 0.02 + 0.25 * np.abs(u) ** 2.6))
        p.key *= smoothstep(0.5, -0.5, r)
        p.ink(r, (PINE, PEACH, VERMILION, INDIGO)[k])
        p.line(r, 0.9)


def pine(p):
    """A pine branch that reaches in from the upper right."""
    rng = np.random.default_rng(5)
    stem = p.y - 0.16 - 0.13 * np.sin(2.6 * p.x) - 0.25 * (4.1 - p.x) ** 0.5 * 0.3
    branch = np.minimum(pixels(0.028 + 0.028 * np.maximum(p.x - 2.7, 0) - np.abs(stem)), 320 * (p.x - 2.55))
    p.key *= smoothstep(0.5, -0.5, branch)
    p.ink(branch, (0.45, 0.27, 0.17))
    p.line(branch, 1.1)
    for k in range(13):
        cx = 2.5 + 0.125 * k
        cy = 0.10 + 0.13 * np.sin(2.6 * cx) + 0.075 * (4.1 - cx) ** 0.5 + rng.uniform(-0.10, 0.12)
        r, a = np.hypot(p.x - cx, (p.y - cy) * 1.35), np.arctan2((p.y - cy) * 1.35, p.x - cx)
        fan = 320 * (0.17 + 0.012 * np.sin(21 * a) - r)
        p.key *= smoothstep(0.5, -0.5, fan)
        p.ink(fan, ramp([PINE, (0.33, 0.50, 0.30)], 0.5 - 2.2 * (p.y - cy)))
        p.line(r * 320 * np.sin(10.5 * (a + 0.03 * p.wobble)) / 10.5, 0.75, (fan > 0) * (r > 0.02))


def paint(seed=31):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB."""
    p = Print(seed)
    sky(p)
    mountain(p)
    wave(p, 1.86, 0.12, 2.6, 0.4, 0.10, [PRUSSIAN, AQUA])
    wave(p, 2.16, 0.30, 2.1, 2.6, 0.18, [PRUSSIAN, PRUSSIAN, AQUA])
    boat(p, 2.25, 1.98, 0.42)
    wave(p, 2.58, 0.42, 1.75, 4.6, 0.22, [INDIGO, PRUSSIAN, AQUA])
    wave(p, 3.02, 0.62, 1.45, 1.0, 0.28, [INDIGO, INDIGO, PRUSSIAN])
    pine(p)
    return p.pull()
