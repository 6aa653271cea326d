"""Lighthouse, houses and boats, each a signed distance with a coat of paint."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from fields import FINE, TILE, mix, sample, smoothstep, unit
from terrain import SUN


@dataclass(frozen=True)
class Solid:
    """A thing given by its signed distance, inside a bounding sphere, with its own coordinates.

    `distance` maps local points (n, 3) to metres; `paint` maps local points to albedo (n, 3) and own light (n, 3).
    """

    foot: np.ndarray
    yaw: float
    middle: float
    radius: float
    distance: Callable
    paint: Callable

    def local(self, v):
        """World vectors, already relative to the foot, in the solid's own axes."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack([c * v[:, 0] - s * v[:, 2], v[:, 1], s * v[:, 0] + c * v[:, 2]], -1).astype("f4")

    def bounds(self, origin, direction):
        """Indices of the rays that enter the bounding sphere, and where they enter and leave it."""
        to = self.foot + np.array([0, self.middle, 0], "f4") - origin
        along = np.einsum("ij,ij->i", to, direction)
        half = self.radius**2 - (np.einsum("ij,ij->i", to, to) - along**2)
        near = np.flatnonzero((half > 0) & (along + np.sqrt(np.maximum(half, 0)) > 0))
        half = np.sqrt(half[near])
        return near, np.maximum(along[near] - half, 0.02), along[near] + half

    def trace(self, origin, direction, best):
        """Lower `best` (n,) to the distance of this solid wherever it is nearer; return the rays it won."""
        rays, t, end = self.bounds(origin, direction)
        o, d = self.local(origin[rays] - self.foot), self.local(direction[rays])
        for _ in range(70):
            gap = self.distance(o + t[:, None] * d)
            t = t + 0.8 * np.maximum(gap, 0) * (t < end)
        won = (gap < 0.0015 * t + 0.004) & (t < np.minimum(end, best[rays]))
        best[rays[won]] = t[won]
        return rays[won]

    def lit(self, p):
        """How much of the sun's disc each world point sees past this solid, 0 to 1."""
        light = np.ones(len(p), "f4")
        rays, t, end = self.bounds(p, np.broadcast_to(SUN, p.shape))
        o, d = self.local(p[rays] - self.foot), self.local(SUN[None])
        t, worst = t + 0.10, np.ones(len(rays), "f4")
        for _ in range(36):
            gap = self.distance(o + t[:, None] * d)
            worst = np.where(t < end, np.minimum(worst, 0.5 + 14 * gap / (t + 1)), worst)
            t = t + np.clip(gap, 0.06, 1.5)
        light[rays] = smoothstep(0, 1, worst)
        return light

    def normal(self, p):
        """Unit world normals at world points on the surface."""
        q, e = self.local(p - self.foot), 0.012
        g = np.stack([self.distance(q + step) - self.distance(q - step) for step in e * np.eye(3, dtype="f4")], -1)
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return unit(np.stack([c * g[:, 0] + s * g[:, 2], g[:, 1], -s * g[:, 0] + c * g[:, 2]], -1) + 1e-9)


def join(*distances):
    """Signed distance of the union."""
    return reduce(np.minimum, distances)


def meet(*distances):
    """Signed distance of the intersection, or a little less."""
    return reduce(np.maximum, distances)


def box(x, y, z, half):
    """Signed distance of a box about the origin with half-sizes `half`, or a little less."""
    return meet(np.abs(x) - half[0], np.abs(y) - half[1], np.abs(z) - half[2])


def pillar(r, y, radius, low, high):
    """Signed distance of an upright cylinder at radial distance `r` and height `y`, or a little less."""
    return meet(r - radius, low - y, y - high)


def lighthouse(foot):
    """A tapering banded tower, fourteen metres high, with gallery, lantern and dome."""
    tall = 10.6

    def taper(y):
        return 1.25 + 0.95 * (1 - np.clip(y / tall, 0, 1)) ** 1.5

    def parts(p):
        x, y, z = p.T
        r, turn = np.hypot(x, z), np.arctan2(z, x)
        tower = meet((r - taper(y)) * 0.95, -2 - y, y - tall)
        deck = join(pillar(r, y, 1.95, tall - 0.1, tall + 0.14), pillar(r, y, 1.55, tall - 0.5, tall))
        rail = np.hypot(r - 1.85, join(np.abs(y - tall - 0.95), np.abs(y - tall - 0.55))) - 0.035
        gap = (1 - np.abs((turn * 14 / np.pi) % 2 - 1)) * r * np.pi / 14
        post = meet(np.hypot(r - 1.85, gap) - 0.035, np.abs(y - tall - 0.5) - 0.45)
        lantern = pillar(r, y, 0.95, tall, tall + 2.1)
        cap = meet(np.hypot(r, (y - tall - 2.05) * 1.05) - 1.2, tall + 2.05 - y)
        finial = join(np.hypot(r, y - tall - 3.3) - 0.2, pillar(r, y, 0.05, tall, tall + 4.4))
        return tower, join(deck, rail, post), lantern, join(cap, finial)

    def paint(p):
        tower, deck, lantern, dome = parts(p)
        x, y, z = p.T
        turn = np.arctan2(x, -z)
        stain = 0.9 + 0.05 * sample(FINE, y * 3, turn * 160) + 0.04 * sample(TILE, y * 20, turn * 160)
        white, red = np.array([0.86, 0.83, 0.78]), np.array([0.62, 0.075, 0.04])
        albedo = mix(white, red, (np.floor(y / (tall / 5)).astype(int) % 2 == 1) & (y < tall)) * stain[:, None]
        aside, above = np.abs(turn + 0.15) * taper(y), np.abs((y - 1.2) % 4.24 - 2.6)
        pane = (aside < 0.24) & (above < 0.42) & (y < tall - 1)
        frame = (aside < 0.34) & (above < 0.56) & (y < tall - 1)
        door = (aside < 0.5) & (y < 1.9)
        albedo = np.where((frame | door)[:, None], [0.05, 0.06, 0.07], albedo)
        nearest = np.argmin([tower, deck, lantern, dome], 0)[:, None]
        albedo = np.select([nearest == 1, nearest == 2, nearest == 3], [0.12, 0.1, [0.34, 0.06, 0.035]], albedo)
        glass = (nearest[:, 0] == 2) & (np.abs((turn * 5 / np.pi) % 1 - 0.5) < 0.42) & (y > tall + 0.55)
        lamp = glass * (1.2 + 3.5 * np.exp(-(((y - tall - 1.3) / 0.5) ** 2)))
        glow = lamp[:, None] * np.array([1.0, 0.78, 0.38])
        return albedo, glow + pane[:, None] * np.array([1.6, 0.85, 0.22])

    return Solid(foot, 0.0, 7.0, 9.2, lambda p: join(*parts(p)), paint)


def house(foot, yaw, size, wall, roof, seed, spire=False):
    """A house of half-width, half-length, wall height and roof height `size`: gable and chimney, or a `spire`."""
    w, d, h, rise = size
    lean = w / np.hypot(w, rise)

    def parts(p):
        x, y, z = np.abs(p[:, 0]), p[:, 1], np.abs(p[:, 2])
        eave = (y - h - rise * (1 - (np.maximum(x / w, z / d) if spire else x / w))) * lean
        body = meet(x - w, z - d, eave, -3 - y)
        tiles = meet(np.abs(eave) - 0.13, z - d - 0.3, x - w - 0.35)
        chimney = box(x - 0.45 * w, y - h - 0.8 * rise, p[:, 2] - 0.5 * d, (0.28, 0.9, 0.35))
        return body, tiles, body if spire else chimney

    def paint(p):
        body, tiles, chimney = parts(p)
        x, y, z = p.T
        along = np.where(np.abs(x) / w > np.abs(z) / d, z, x)
        side = np.where(np.abs(x) / w > np.abs(z) / d, 1, 2) + (x > 0) + 2 * (z > 0)
        u, v = (along + 40 * 1.7 + 0.85) % 1.7 - 0.85, (y + 0.1) % 2.3 - 1.35
        cell = np.floor((along + 68.85) / 1.7) * 7 + np.floor((y + 0.1) / 2.3) * 13 + side * 5 + seed
        fits = (np.abs(along) < np.where(side % 2, d, w) - 0.5) & (y < h + 0.35 * rise)
        frame = (np.abs(u) < 0.47) & (np.abs(v) < 0.66) & fits
        pane = (np.abs(u) < 0.36) & (np.abs(v) < 0.55) & fits
        warm = pane & (np.sin(cell * 12.9898) * 43758.5453 % 1 < 0.5)
        grime = (0.93 + 0.06 * sample(TILE, y * 30, along * 30))[:, None]
        albedo = np.where(frame[:, None], np.asarray(wall) * [0.30, 0.36, 0.34], np.asarray(wall) * grime)
        albedo = np.where(pane[:, None], [0.06, 0.075, 0.10], albedo)
        rows = (0.84 + 0.16 * np.sin(y * 26) + 0.10 * sample(FINE, y * 40, z * 30))[:, None]
        nearest = np.argmin([body, tiles, chimney], 0)[:, None]
        albedo = np.select([nearest == 1, nearest == 2], [np.asarray(roof) * rows, [0.40, 0.25, 0.19]], albedo)
        return albedo, (warm & (nearest[:, 0] == 0))[:, None] * np.array([2.3, 1.25, 0.36])

    reach = float(np.sqrt(w**2 + d**2 + ((h + rise) / 2 + 1) ** 2)) + 0.6
    return Solid(foot, yaw, (h + rise) / 2, reach, lambda p: join(*parts(p)), paint)


def sailing_boat(foot, yaw, scale, hull_colour, sail_colour):
    """A small sloop with main and jib; `scale` 1 is six metres long and eight high."""

    def parts(p):
        x, y, z = p.T / scale
        beam = 0.95 * np.sqrt(np.clip(1 - (z / 3.1) ** 2, 0.0, 1)) * np.clip(0.75 + 0.5 * y, 0.2, 1)
        sheer = 0.55 + 0.045 * z**2 + 0.04 * z
        hull = meet(np.abs(x) - beam, np.abs(z) - 3.1, y - sheer, -0.6 - y) * 0.7
        cabin = box(x, y - 0.8, z + 0.3, (0.5, 0.3, 0.9))
        mast = meet(np.hypot(x, z - 0.5) - 0.06, np.abs(y - 4.3) - 4.0)
        boom = meet(np.hypot(x - 0.2, y - 1.25) - 0.06, np.abs(z + 1.1) - 1.6)
        belly = 0.5 * np.sin(np.clip((0.5 - z) / 3.2, 0, 1) * np.pi) * np.clip((8.2 - y) / 6, 0, 1) + 0.1
        main = meet(np.abs(x - belly) - 0.03, z - 0.38, 1.4 - y, (y - 8.1) * 0.42 - (z - 0.35) * 0.9)
        belly = 0.35 * np.sin(np.clip((z - 0.6) / 2.5, 0, 1) * np.pi) + 0.1
        jib = meet(np.abs(x - belly) - 0.03, 0.65 - z, 0.95 - y + 0.1 * z, (y - 7.2) * 0.38 + (z - 0.65) * 0.92)
        return hull * scale, cabin * scale, join(mast, boom) * scale, join(main, jib) * 0.8 * scale

    def paint(p):
        _, y, z = p.T / scale
        nearest = np.argmin(parts(p), 0)[:, None]
        stripe = (y > 0.42 + 0.045 * z**2)[:, None]
        albedo = np.where(stripe, [0.8, 0.78, 0.72], np.asarray(hull_colour))
        seam = 0.86 + 0.14 * (np.abs(y % 1.1 - 0.55) > 0.04)
        fold = 0.72 + 0.28 * np.sin(1.9 * z + 0.35 * y) ** 2
        sail = np.asarray(sail_colour) * (seam * fold)[:, None]
        colours = [[0.62, 0.42, 0.24], [0.25, 0.15, 0.08], sail]
        albedo = np.select([nearest == 1, nearest == 2, nearest == 3], colours, albedo)
        shining_through = (nearest == 3) * np.asarray(sail_colour) * [0.42, 0.30, 0.18]
        return albedo, shining_through

    return Solid(foot, yaw, 3.7 * scale, 5.4 * scale, lambda p: join(*parts(p)), paint)


WHITE, CREAM, OCHRE = [0.80, 0.78, 0.74], [0.74, 0.66, 0.50], [0.66, 0.44, 0.19]
ROSE, BLUE = [0.62, 0.36, 0.29], [0.36, 0.47, 0.58]
WALLS = [WHITE, CREAM, OCHRE, ROSE, BLUE, CREAM, WHITE]
TILES = [[0.50, 0.13, 0.06], [0.42, 0.15, 0.09], [0.55, 0.19, 0.08], [0.22, 0.20, 0.22]]


def standing(terrain, x, z, sink=0.0):
    """The foot (3,) of a thing at x and z, `sink` metres below the ground."""
    return np.array([x, terrain.at(terrain.ground, np.array([[x, 0, z]]))[0] - sink, z], "f4")


def village(terrain):
    """Houses along the far shore and up the hill, a church among them."""
    rng = np.random.default_rng(21)
    feet, solids = [], []
    for _ in range(400):
        foot = standing(terrain, rng.uniform(-95, 34), rng.uniform(145, 200), sink=0.3)
        x, ground, z = foot
        beside_church = np.hypot(x + 17, (z - 182) / 2) < 16
        crowded = any(np.hypot(x - a, (z - b) * 0.8) < 10.5 for a, _, b in feet)
        if beside_church or crowded or not 2.0 < ground < 14.7:
            continue
        feet.append(foot)
        size = rng.uniform(3.6, 4.6), rng.uniform(4.8, 6.6), rng.choice([4.4, 6.6, 7.0]), rng.uniform(2.9, 4.0)
        wall, roof = WALLS[rng.integers(len(WALLS))], TILES[rng.integers(len(TILES))]
        yaw = rng.choice([0.2, 1.75]) + rng.normal(0, 0.2)
        solids.append(house(foot, yaw, size, wall, roof, len(feet)))
    nave, tower = standing(terrain, -20, 188), standing(terrain, -11, 185, sink=0.5)
    solids.append(house(nave, 1.3, (4.6, 10, 8, 5.5), WHITE, TILES[3], 3))
    solids.append(house(tower, 1.3, (2.8, 2.8, 15, 11), WHITE, TILES[3], 9, spire=True))
    return solids


def boats():
    """Four boats in the bay, from near to far."""
    return [
        sailing_boat(np.array([-8.6, 0, 40], "f4"), 1.0, 1.05, [0.10, 0.20, 0.33], [0.86, 0.80, 0.68]),
        sailing_boat(np.array([-27, 0, 88], "f4"), 1.9, 1.1, [0.45, 0.07, 0.05], [0.72, 0.22, 0.10]),
        sailing_boat(np.array([-3, 0, 112], "f4"), 1.0, 1.1, [0.6, 0.58, 0.5], [0.86, 0.82, 0.74]),
        sailing_boat(np.array([-62, 0, 125], "f4"), 1.4, 1.1, [0.12, 0.12, 0.14], [0.84, 0.70, 0.45]),
    ]


def build(terrain):
    """Every solid of the scene."""
    keeper = standing(terrain, 19.3, 54.5, sink=0.3)
    return [
        lighthouse(standing(terrain, 12.8, 54, sink=0.3)),
        house(keeper, 1.9, (2.1, 3.4, 2.7, 1.9), WHITE, TILES[0], 2),
        *boats(),
        *village(terrain),
    ]
