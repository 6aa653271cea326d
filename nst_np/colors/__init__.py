"""Colours of pictures: colour spaces, and pictures moved to the colours of others."""

from nst_np.colors.matching import Moments, mixed, moments, moved, transfer
from nst_np.colors.recoloring import GreyLevels, greys, is_grey, with_lightness
from nst_np.colors.spaces import SPACES, Space, gamma_coded, to_coordinates, to_pixels

__all__ = [
    "SPACES",
    "GreyLevels",
    "Moments",
    "Space",
    "gamma_coded",
    "greys",
    "is_grey",
    "mixed",
    "moments",
    "moved",
    "to_coordinates",
    "to_pixels",
    "transfer",
    "with_lightness",
]
