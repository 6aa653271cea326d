"""The content picture: a harbour village and its lighthouse on a summer evening, ray-marched in NumPy.

World coordinates are metres: x to the right, y up from the water, z away from the camera. Points and directions are
float32 arrays of shape (n, 3); colours are linear RGB until `develop` turns them into pixels.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fields import FINE, RIDGE, TILE, mix, sample, smoothstep, unit
from scipy import ndimage
from solids import build
from terrain import SUN, Terrain

WIDTH, HEIGHT = 768, 512
HORIZON = 0.585  # the horizon's row, as a fraction of the height: a shift lens keeps verticals upright
LENS = 0.46  # half the picture's width at distance 1
EYE = np.array([0.0, 4.6, 0.0], "f4")

# The disc is not where the light comes from: that stands further left, as a photographer's reflector would, and so
# models the fronts of things.
SUN_DISC = unit([-0.285, 0.165, 1.0])
SUNLIGHT = np.array([3.6, 2.35, 1.25], "f4")
SKYLIGHT = np.array([0.30, 0.42, 0.72], "f4")
BOUNCE = np.array([0.24, 0.18, 0.15], "f4")


def sky(direction):
    """Evening sky with lit clouds, and three mountain ridges in the haze; `direction` (n, 3) gives (n, 3)."""
    up = np.maximum(direction[:, 1], 0.0)
    toward = np.clip(direction @ SUN_DISC, 0, 1)
    colour = mix([1.15, 0.56, 0.26], [0.50, 0.52, 0.58], smoothstep(0.02, 0.18, up))
    colour = mix(colour, [0.025, 0.11, 0.34], smoothstep(0.08, 0.36, up))
    colour = colour + (toward**24)[:, None] * np.array([0.55, 0.26, 0.06])
    colour = colour + (toward**300)[:, None] * np.array([1.0, 0.6, 0.2])
    colour = np.where((toward > 0.99965)[:, None], [3.6, 2.5, 1.1], colour)
    return mountains(clouds(colour, direction, toward), direction, toward).astype("f4")


def clouds(colour, direction, toward):
    """`colour` behind a layer of clouds, bright on the side of the sun."""
    x, y = direction[:, 0], direction[:, 1]
    up = np.maximum(y, 0.0)

    def density(shift):
        u, v = 110 * (x / (up + 0.16) + shift), 210 / (up + 0.16)
        return 0.8 * sample(TILE, v + 40, u + 700) + 0.3 * sample(FINE, v * 1.5, u * 1.5)

    thick = density(0.0)
    cover = smoothstep(-0.1, 1.3, thick + 0.1)
    shade = smoothstep(-0.5, 0.7, density(-0.09) - 0.25 * thick)
    lit = mix([1.45, 0.92, 0.58], [0.22, 0.22, 0.33], shade)
    lit = lit + (toward**8)[:, None] * np.array([0.5, 0.22, 0.04])
    return mix(colour, lit, 0.92 * cover * smoothstep(0.01, 0.10, up))


def mountains(colour, direction, toward):
    """`colour` behind three ridges, the farther the paler."""
    x, y, z = direction.T
    slope = y / np.hypot(x, z)
    azimuth = np.arctan2(x, z)
    for k, (base, tall, tint) in enumerate([(0.165, 0.030, 0.45), (0.115, 0.024, 0.65), (0.070, 0.020, 0.85)]):
        across = azimuth * (500 + 200 * k) + 300 * k
        ridge = base + tall * (sample(RIDGE, np.full_like(x, 40 * k), across) + 1.5 * azimuth)
        height = np.clip(slope / np.maximum(ridge, 0.01), 0, 1)
        gully = [sample(TILE, 420 * slope + 90 * k, across * 0.9 - 300 * slope + step) for step in (0, 5)]
        relief = smoothstep(-0.7, 0.7, gully[0] - gully[1])
        face = mix([0.10, 0.15, 0.25], [0.42, 0.30, 0.26], relief)
        face = mix([0.80, 0.57, 0.45], face, tint * (0.35 + 0.65 * height))
        face = face + (toward**16)[:, None] * np.array([0.30, 0.14, 0.03])
        colour = mix(colour, face, smoothstep(-0.0012, 0.0012, ridge - slope))
    return colour


def haze(colour, direction, distance):
    """Air between the eye and a surface: warm towards the sun, blue away from it."""
    toward = np.clip(direction @ SUN_DISC, 0, 1) ** 6
    air = mix([0.46, 0.50, 0.60], [1.0, 0.66, 0.40], toward)
    return mix(colour, air, 1 - np.exp(-((distance / 700) ** 1.3)))


class Scene:
    """Terrain, solids, and the light that travels between them."""

    def __init__(self):
        self.terrain = Terrain()
        self.solids = build(self.terrain)

    def shade(self, albedo, normal, p):
        """Light leaving matt surfaces: sun with soft shadows, blue sky above, warm bounce from below."""
        sun = np.maximum(normal @ SUN, 0)
        facing = sun > 0.01
        light = self.terrain.lit(p[facing] + 0.05 * normal[facing])
        for solid in self.solids:
            light *= solid.lit(p[facing] + 0.05 * normal[facing])
        sun[facing] *= light
        ambient = mix(BOUNCE, SKYLIGHT, 0.5 + 0.5 * normal[:, 1]) * (0.75 + 0.25 * np.clip(-normal[:, 2:], 0, 1))
        return albedo * (sun[:, None] * SUNLIGHT + ambient)

    def radiance(self, origin, direction, water=True):
        """What the rays see, (n, 3); `water` reflects once."""
        ground = self.terrain.trace(origin, direction)
        t, owner = ground.copy(), np.full(len(origin), -1)
        for k, solid in enumerate(self.solids):
            owner[solid.trace(origin, direction, t)] = k
        colour = sky(direction)
        p = origin + np.where(np.isfinite(t), t, 0)[:, None] * direction
        land = np.isfinite(t) & (owner < 0) & (self.terrain.at(self.terrain.height, p) > 0)
        albedo, normal = self.terrain.surface(p[land])
        colour[land] = self.shade(albedo, normal, p[land])
        for k in np.unique(owner[owner >= 0]):
            mine, solid = owner == k, self.solids[k]
            albedo, glow = solid.paint(solid.local(p[mine] - solid.foot))
            colour[mine] = self.shade(albedo, solid.normal(p[mine]), p[mine]) + glow
        wet = np.isfinite(t) & (owner < 0) & ~land
        if water:
            colour[wet] = self.water(p[wet], direction[wet], t[wet])
        seen = np.isfinite(t)
        colour[seen] = haze(colour[seen], direction[seen], t[seen])
        return colour

    def water(self, p, direction, t):
        """The bay: a rippled mirror over green depth, with the sun's glitter."""
        calm = 1 / (1 + t / 60)

        def ripple(across, along, phase):
            swell = sample(TILE, p[:, 2] * 16 + phase, p[:, 0] * 5 + phase)
            return along * swell + across * sample(FINE, p[:, 2] * 30 + phase, p[:, 0] * 10)

        normal = unit(np.stack([ripple(0.03, 0.03, 90) * calm, np.ones_like(t), ripple(0.03, 0.035, 400) * calm], -1))
        facing = -np.einsum("ij,ij->i", normal, direction)
        mirrored = direction + 2 * np.maximum(facing, 0.01)[:, None] * normal
        mirrored[:, 1] = np.abs(mirrored[:, 1]) + 0.004
        mirrored = unit(mirrored)
        fresnel = 0.05 + 0.90 * (1 - np.clip(facing, 0, 1)) ** 4
        seen = self.radiance(p + np.array([0, 0.03, 0], "f4"), mirrored, water=False)
        shallow = self.terrain.at(self.terrain.height, p) + 0.22 * sample(FINE, p[:, 2] * 22, p[:, 0] * 16)
        foam = smoothstep(-0.75, -0.1, shallow)
        depth = mix([0.025, 0.085, 0.10], [0.5, 0.52, 0.52], 0.55 * foam)
        glitter = np.clip(mirrored @ SUN_DISC, 0, 1) ** 900
        return mix(depth, seen, fresnel * (1 - 0.5 * foam)) + glitter[:, None] * np.array([2.2, 1.4, 0.6])


def camera_rays(shift_x, shift_y):
    """Origins and directions, (HEIGHT·WIDTH, 3) each, through points shifted within their pixels."""
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH].astype("f4")
    pixel = 2 * LENS / WIDTH
    x = (column + shift_x - WIDTH / 2) * pixel
    y = (HORIZON * HEIGHT - row - shift_y) * pixel
    direction = unit(np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3))
    return np.broadcast_to(EYE, direction.shape), direction


def develop(light):
    """Linear light (H, W, 3) to an 8-bit picture: bloom, a filmic curve, a gentle vignette."""
    bright = np.maximum(light - 1.1, 0)
    for strength, spread in ((0.25, 7), (0.12, 28)):
        light = light + strength * ndimage.gaussian_filter(bright, (spread, spread, 0))
    row, column = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = 0.72 * light * (1 - 0.16 * (row**2 + column**2) ** 1.2)[..., None]
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return (255 * np.clip(curve, 0, 1) ** (1 / 2.2) + 0.5).astype("u1")


def render(samples=4):
    """The picture, (HEIGHT, WIDTH, 3) uint8 RGB, with `samples` rays a pixel."""
    scene = Scene()

    def exposure(k):
        light = scene.radiance(*camera_rays((k + 0.5) / samples, (0.618 * k + 0.3) % 1))
        return np.minimum(light, 4.0)  # one glint must not outshine its neighbours' average

    with ThreadPoolExecutor(max_workers=2) as pool:
        light = sum(pool.map(exposure, range(samples))) / samples
    return develop(light.reshape(HEIGHT, WIDTH, 3))
