"""The layers of both networks, each backward beside its forward: the version that is meant to be read.

A layer is a function ``layer(xp, x, ...) -> (y, backward)``. `xp` is the array module (NumPy or CuPy) and
``backward(dy) -> dx`` pulls the gradient of a scalar loss from the layer's output back to its input. No gradient of
a weight is ever computed, because nobody trains here; so `backward` keeps only what it needs: one bit an element for
a rectifier, two bits a window for maximum pooling, and nothing for anything linear.

Notation
--------
x, y : input ``(H, W, C)`` and output, channels last.
dx, dy : gradient of the scalar loss with respect to `x` and `y`.
C, K : numbers of input and output channels.

`layer` registers a function with an example input; a registered layer is gradient-checked, checked for adjointness
and checked for purity by the test-suite without any further line of test. Nothing here modifies its input.
"""

from nst_np.layers.convolution import conv3x3, pooled_conv3x3, rectified_conv3x3, replicated
from nst_np.layers.pixels import opponent_colors, preprocess
from nst_np.layers.pooling import average_pool, l2_pool, max_pool, rescaled
from nst_np.layers.pyramid import downsample, edge_pad, periodic, reflect_pad, upsample, wrap_pad
from nst_np.layers.rectifiers import Bits, crelu, relu
from nst_np.layers.registry import LAYERS, Backward, Layer, Registered, layer
from nst_np.layers.wavelets import WaveletBank, rectified_wavelets, wavelets

__all__ = [
    "LAYERS",
    "Backward",
    "Bits",
    "Layer",
    "Registered",
    "WaveletBank",
    "average_pool",
    "conv3x3",
    "crelu",
    "downsample",
    "edge_pad",
    "l2_pool",
    "layer",
    "max_pool",
    "opponent_colors",
    "periodic",
    "pooled_conv3x3",
    "preprocess",
    "rectified_conv3x3",
    "rectified_wavelets",
    "reflect_pad",
    "relu",
    "replicated",
    "rescaled",
    "upsample",
    "wavelets",
    "wrap_pad",
]
