"""Image files: read as RGB pixels, resized, written with the run's settings inside. Only this package imports PIL."""

from nst_np.images.animation import decode_jpeg, encode_gif
from nst_np.images.arrays import array_reader, from_array
from nst_np.images.encoding import encode_jpeg, encode_png
from nst_np.images.opening import is_pil_image
from nst_np.images.reading import Picture, load_image
from nst_np.images.resizing import fit_image, fitted_shape, interpolate, measured_side, middle_square, resize_image
from nst_np.images.settings import read_settings
from nst_np.images.writing import check_depth, check_format, check_writable, image_format, save_image

__all__ = [
    "Picture",
    "array_reader",
    "check_depth",
    "check_format",
    "check_writable",
    "decode_jpeg",
    "encode_gif",
    "encode_jpeg",
    "encode_png",
    "fit_image",
    "fitted_shape",
    "from_array",
    "image_format",
    "interpolate",
    "is_pil_image",
    "load_image",
    "measured_side",
    "middle_square",
    "read_settings",
    "resize_image",
    "save_image",
]
