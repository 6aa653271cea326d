"""Image files: read as RGB pixels, resized, written with the run's settings inside. Only this package imports PIL."""

from nst_np.images.opening import MAX_PIXELS
from nst_np.images.reading import Picture, load_image
from nst_np.images.resizing import resize_image
from nst_np.images.settings import read_settings
from nst_np.images.writing import check_writable, image_format, save_image

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "check_writable",
    "image_format",
    "load_image",
    "read_settings",
    "resize_image",
    "save_image",
]
