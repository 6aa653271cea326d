"""The ground of the scene as a height field: traced by rays, lit by the sun, and painted."""

import numpy as np
from fields import FINE, TILE, fbm, mix, sample, smoothstep, unit
from scipy import ndimage

SUN = unit([-1.0, 0.45, -0.22])  # where the light comes from
FAR = 340.0  # metres; what lies further off belongs to the sky


class Terrain:
    """A height field, baked once: a rocky headland, skerries, and a wooded shore across the bay."""

    CELL, LEFT, NEAR = 0.16, -150.0, 4.0

    def __init__(self):
        z, x = np.mgrid[0:2048, 0:1900].astype("f4")
        x, z = x * self.CELL + self.LEFT, z * self.CELL + self.NEAR
        self.ground = self._shape(x, z)
        self.height = self.ground.copy()
        self.leaf = np.zeros_like(self.ground)
        self._plant(x, z)
        blurred = ndimage.gaussian_filter(self.height, 5)
        self.cavity = np.clip(1 + 0.55 * (self.height - blurred), 0.25, 1.15)
        self.slope = np.stack(np.gradient(self.height, self.CELL), -1)

    @staticmethod
    def _shape(x, z):
        """Ground above the water level in metres."""
        wide, rough = fbm(x.shape, 1.9, 500, seed=1), fbm(x.shape, 1.55, 90, seed=2)
        crag = 1 - np.abs(fbm(x.shape, 1.5, 30, seed=5))

        def mound(cx, cz, rx, rz, top, edge):
            d = 1 - np.hypot((x - cx) / rx, (z - cz) / rz) + 0.10 * wide + 0.05 * rough
            return -3 + (top + 3) * smoothstep(0, edge, d)

        head = np.maximum(mound(24, 55, 22, 15, 4.4, 0.36), mound(16, 45, 15, 7.0, 1.7, 0.7))
        skerry = np.maximum(mound(1.5, 44, 5.0, 3.0, 0.8, 0.9), mound(-3.5, 50, 2.4, 2.0, 0.5, 0.9))
        front = np.maximum(mound(11.5, 23, 6.5, 3.6, 1.1, 0.9), mound(-9.8, 23.5, 4.2, 2.6, 0.8, 0.9))
        rock = np.maximum(np.maximum(head, skerry), front)
        cliff = np.exp(-(((rock - 1.2) / 2.4) ** 2))
        rock = rock + cliff * (0.8 * crag - 0.3 + 0.5 * rough) + 0.06 * rough
        layer = rock / 0.75 + 0.4 * rough
        ledge = 0.75 * (np.floor(layer) + smoothstep(0.55, 1.0, layer % 1))
        rock = rock + 0.55 * cliff * (ledge - rock - 0.3 * rough)
        inland = z + 0.25 * x - 152 + 5 * wide + 1.5 * rough
        shore = -2 + 4.2 * smoothstep(0, 14, inland) + 22 * smoothstep(6, 120, inland) + 0.25 * rough
        shore = shore * smoothstep(70, 20, x) - 3 * smoothstep(20, 70, x) + 7 * smoothstep(90, 190, inland) * wide
        return np.maximum(rock, np.where(z > 110, shore, -3)).astype("f4")

    def _plant(self, x, z):
        """Stamp trees into the height field: domes and cones, thick on the hill and thin between the houses."""
        rng = np.random.default_rng(8)
        for _ in range(5200):
            tx, tz = rng.uniform(-148, 60), rng.uniform(150, 325)
            i, j = int((tz - self.NEAR) / self.CELL), int((tx - self.LEFT) / self.CELL)
            if not (40 < i < x.shape[0] - 40 and 40 < j < x.shape[1] - 40) or self.ground[i, j] < 2.6:
                continue
            base = self.ground[i, j]
            if rng.random() > smoothstep(5, 17, base) * 0.9 + 0.05:
                continue
            radius, tall = rng.uniform(1.3, 3.2), rng.uniform(3.0, 6.0)
            n = int(radius / self.CELL) + 1
            window = np.s_[i - n : i + n + 1, j - n : j + n + 1]
            r = np.hypot(x[window] - tx, z[window] - tz) / radius
            cone = rng.random() < 0.35
            crown = 1.5 * tall * (1 - r) if cone else tall * np.sqrt(np.maximum(1 - r * r, 0))
            crown = base + crown * (0.86 + 0.14 * rng.standard_normal(r.shape)) * (r < 1)
            higher = (crown > self.height[window]) & (r < 1)
            self.height[window][higher] = crown[higher]
            self.leaf[window][higher] = rng.uniform(0.5, 1.0) * (0.6 if cone else 1)

    def at(self, field, p):
        """The baked `field` at the points `p` (n, 3)."""
        where = [(p[:, 2] - self.NEAR) / self.CELL, (p[:, 0] - self.LEFT) / self.CELL]
        return ndimage.map_coordinates(field, where, order=1, mode="nearest")

    def trace(self, origin, direction):
        """Distance along each ray to ground or water, inf where it meets neither."""
        t = np.full(len(origin), np.inf, "f4")
        alive, s = np.arange(len(origin)), np.full(len(origin), 0.3, "f4")
        before, above = s, np.ones_like(s)
        water = np.where(direction[:, 1] < 0, 0, -9).astype("f4")
        ceiling = self.height.max()
        for _ in range(260):
            p = origin[alive] + s[:, None] * direction[alive]
            gap = p[:, 1] - np.maximum(self.at(self.height, p), water[alive])
            hit = gap < 0.0006 * s
            t[alive[hit]] = (before + (s - before) * np.clip(above / (above - gap + 1e-6), 0, 1))[hit]
            on = ~(hit | (s > FAR) | ((p[:, 1] > ceiling) & (direction[alive, 1] > 0)))
            alive, before, above = alive[on], s[on], gap[on]
            s = before + np.clip(0.45 * above, 0.0015 * before, 1.6 + 0.02 * before)
            if not len(alive):
                break
        return t

    def lit(self, p):
        """How much of the sun's disc each point sees over the ground, 0 to 1."""
        light, s = np.ones(len(p), "f4"), 0.25
        while s < 70:
            q = p + s * SUN
            light = np.minimum(light, 0.5 + 7 * (q[:, 1] - self.at(self.height, q)) / s)
            s *= 1.16
        return smoothstep(0, 1, light)

    def surface(self, p):
        """Albedo (n, 3) and unit normal (n, 3) of the ground at `p`."""
        fine = sample(FINE, p[:, 2] * 9 + 9 * p[:, 1], p[:, 0] * 9 + 5 * p[:, 1])
        patch = sample(TILE, p[:, 2] * 3.1, p[:, 0] * 3.1)
        dz, dx = self.at(self.slope[..., 0], p), self.at(self.slope[..., 1], p)
        steep, leaf = np.hypot(dx, dz), self.at(self.leaf, p)
        rock = mix([0.10, 0.082, 0.075], [0.33, 0.26, 0.20], smoothstep(-1.4, 1.6, fine + patch))
        rock = rock * mix([0.32, 0.33, 0.30], [1, 1, 1], smoothstep(0.1, 0.9, p[:, 1] + 0.15 * patch))
        grass = mix([0.10, 0.17, 0.035], [0.36, 0.33, 0.09], smoothstep(-1.6, 1.8, patch + 0.7 * fine))
        green = smoothstep(1.1, 0.45, steep + 0.25 * fine) * smoothstep(1.6, 3.0, p[:, 1] + 0.6 * patch)
        crown = mix([0.025, 0.07, 0.035], [0.20, 0.17, 0.03], leaf * (0.7 + 0.3 * fine))
        albedo = mix(mix(rock, grass, green), crown, smoothstep(0.1, 0.3, leaf))
        crack = sample(FINE, p[:, 2] * 9 + 500 - 5 * p[:, 1], p[:, 0] * 9 + 9 * p[:, 1])
        bump = np.stack([fine, crack], -1) * (0.6 - 0.4 * np.maximum(green, leaf))[:, None]
        albedo = albedo * (1 - 0.45 * smoothstep(0.35, 0.0, np.abs(crack + 0.5 * patch)) * (1 - green))[:, None]
        normal = unit(np.stack([-dx + bump[:, 0], np.ones_like(dx), -dz + bump[:, 1]], -1))
        return albedo * self.at(self.cavity, p)[:, None], normal
