"""Weights without a download: a VGG whose kernels are random.

He, Wang & Hopcroft 2016 (arXiv 1606.04801) show that the features of an untrained VGG carry texture and content well
enough for style transfer, if its weights are well scaled. Here each layer is scaled as Gatys et al. 2015 scale the
trained network, to a mean activation of one; with one synthetic image, where they had ImageNet, and one factor for a
layer, where they had one for a filter.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from nst_np.engine.blas import one_blas_thread
from nst_np.errors import WeightsError
from nst_np.layers import average_pool, conv3x3, preprocess, relu
from nst_np.weights.architecture import kernel_shapes
from nst_np.weights.vgg_weights import IMAGENET_MEAN_RGB, UNIT_SCALE, VGGWeights

LARGEST_SEED = 2**32 - 1

# The factors are rounded to this many digits: where two BLAS libraries sum in another order, the weights stay equal.
FACTOR_DIGITS = 6


def random_weights(architecture: str, seed: int = 0) -> VGGWeights:
    """He-normal kernels and zero biases, every layer scaled to a mean activation of one on `calibration_image`.

    The same seed gives the same weights on every machine.

    Parameters
    ----------
    architecture : ``"vgg16"`` or ``"vgg19"``.
    seed : 0 to 2**32 - 1.

    Raises
    ------
    WeightsError
        For a seed out of range or an unknown architecture.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise WeightsError(f"seed of random weights is {seed}, expected 0 to {LARGEST_SEED}")
    with one_blas_thread():  # which shares out small products to threads that, on a busy machine, wait
        kernels = _calibrated_kernels(architecture, np.random.RandomState(seed))
    weights = VGGWeights(
        architecture=architecture,
        kernels=kernels,
        biases={name: np.zeros(kernel.shape[3]) for name, kernel in kernels.items()},
        color_order="RGB",
        mean=IMAGENET_MEAN_RGB,
        scale=UNIT_SCALE,
        source=f"random:{seed}",
        format="random",
        licence="none needed: generated numbers",
        checksum="",
    )
    return dataclasses.replace(weights, checksum=weights.content_checksum())


def _calibrated_kernels(architecture: str, generator: np.random.RandomState) -> dict[str, np.ndarray]:
    """Draw the kernels layer by layer, each scaled by what the layers before it make of the image.

    The stream of a `RandomState` is frozen for good, that of ``default_rng`` is not.
    """
    kernels = {}
    x, _ = preprocess(np, calibration_image(), "RGB", np.array(IMAGENET_MEAN_RGB), np.array(UNIT_SCALE))
    for name, shape in kernel_shapes(architecture).items():
        if name.endswith("_1") and name != "conv1_1":
            x, _ = average_pool(np, x)
        kernel = generator.standard_normal(shape) * math.sqrt(2 / (9 * shape[2]))
        y, _ = conv3x3(np, x, kernel, np.zeros(shape[3]))
        activation, _ = relu(np, y)
        factor = float(f"{1 / activation.mean():.{FACTOR_DIGITS}g}")
        kernels[name], x = kernel * factor, activation * factor
    return kernels


def calibration_image() -> np.ndarray:
    """A picture with what pictures have, in whole numbers: ramps, edges, a fine pattern, a disc, many colours.

    Returns
    -------
    (64, 64, 3) float64, RGB, 0–255.
    """
    row, column = np.mgrid[0:64, 0:64]
    ramp = column * 255 // 63
    checkers = (row // 8 + column // 8) % 2 * 255
    stripes = (row + 2 * column) % 5 * 51
    disc = (row - 32) ** 2 + (column - 28) ** 2 < 400
    red = np.where(disc, 220, ramp)
    green = np.where(disc, stripes, (checkers + 255 - ramp) // 2)
    blue = np.where(disc, 255 - ramp, np.where(row > 40, stripes, checkers))
    return np.stack([red, green, blue], axis=-1).astype(np.float64)
