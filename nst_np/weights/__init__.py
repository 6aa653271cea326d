"""Find, download, read, verify, convert and make up the weights of VGG16 and VGG19."""

from nst_np.weights.architecture import ARCHITECTURES, conv_names, kernel_shapes
from nst_np.weights.compact import save_compact
from nst_np.weights.converting import convert_weights
from nst_np.weights.download import fetch_weights
from nst_np.weights.finding import Search, find_weights
from nst_np.weights.loading import load_weights
from nst_np.weights.native import save_weights
from nst_np.weights.random import random_weights
from nst_np.weights.reading import read_weights
from nst_np.weights.vgg_weights import VGGWeights

__all__ = [
    "ARCHITECTURES",
    "Search",
    "VGGWeights",
    "conv_names",
    "convert_weights",
    "fetch_weights",
    "find_weights",
    "kernel_shapes",
    "load_weights",
    "random_weights",
    "read_weights",
    "save_compact",
    "save_weights",
]
