"""The same weights and images through PyTorch's autograd give the same features, losses and gradients."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from nst_np.backend import make_backend
from nst_np.engine.blas import one_blas_thread
from nst_np.losses import value_and_grad
from nst_np.objective import Objective
from nst_np.presets import PRESETS
from nst_np.terms import loss_examples
from nst_np.vgg import VGG
from nst_np.wavelet import WaveletNetwork
from nst_np.weights import random_weights

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

from tests import pytorch_reference as reference  # noqa: E402 (it needs PyTorch)

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # of the largest value
# Where rounding moves an element across a ReLU's kink, the gradient jumps, between any two programs. In float32 that
# happens in one image of several; most images must be within the tolerance.
SEEDS = {"float64": [3], "float32": [3, 4, 5, 6, 7]}

weights_of = functools.cache(random_weights)
NETWORKS = [("vgg19", "average"), ("vgg16", "max"), ("wavelet", "")]
LAYERS = {
    "vgg19": ({"relu4_2": 1.0}, dict.fromkeys(("relu1_1", "conv2_1", "relu3_1", "pool3", "relu5_1"), 0.2)),
    "vgg16": ({"relu4_2": 1.0}, dict.fromkeys(("relu1_1", "conv2_1", "relu3_1", "pool3", "relu5_1"), 0.2)),
    "wavelet": ({"scale2": 1.0, "scale3": 0.5}, {f"scale{s}": 0.25 for s in range(1, 5)}),
}


def photograph(height, width):
    y, x = np.mgrid[:height, :width]
    ramps = np.stack([200 * x / width, 200 * y / height, 200 - 200 * x / width], axis=-1)
    return ramps + noise(height, width, 1) / 5


def striped(height, width):
    y, x = np.mgrid[:height, :width]
    stripes = np.where(((x + 2 * y) // 5 % 2 == 0)[..., None], (200, 60, 20), (20, 60, 160))
    return stripes + noise(height, width, 2) / 5


def noise(height, width, seed):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def both_networks(architecture, pooling, dtype, taps, memory_format=torch.contiguous_format):
    """A network of nst_np, and the same one in PyTorch."""
    kind = getattr(torch, dtype)
    if architecture == "wavelet":
        return WaveletNetwork(make_backend("cpu", dtype)), reference.TorchWavelets(kind)
    weights = weights_of(architecture, 1)
    state = reference.vgg_state(weights, taps, kind, memory_format)
    return VGG(weights, make_backend("cpu", dtype), pooling=pooling), reference.TorchVGG(state, pooling=pooling)


def relative_error(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())


def typical_parity_errors(architecture, pooling, normalization, dtype):
    """`parity_errors` of several images: the median of each."""
    errors = [parity_errors(architecture, pooling, normalization, dtype, seed=seed) for seed in SEEDS[dtype]]
    return tuple(np.median(errors, axis=0))


def parity_errors(architecture, pooling, normalization, dtype, *, seed=3, memory_format=torch.contiguous_format):
    """Relative errors of the objective's value and gradient: nst_np against autograd, same weights, same images."""
    content_layers, style_layers = LAYERS[architecture]
    ours, theirs = both_networks(architecture, pooling, dtype, {*content_layers, *style_layers}, memory_format)
    content, style = photograph(45, 53), striped(41, 60)
    x = 0.7 * content + 0.3 * noise(45, 53, seed)
    settings = {"content_layers": content_layers, "style_layers": style_layers, "normalization": normalization,
                "center_content": True}
    settings.update(balanced_weights(ours, content, style, x, settings))
    value, gradient = Objective(ours, content=content, style=style, **settings).value_and_grad(x)
    tensors = [reference.as_tensor(array, getattr(torch, dtype)) for array in (content, style, x)]
    expected, by_autograd = reference.TorchObjective(theirs, *tensors[:2], **settings).value_and_grad(tensors[2])
    return abs(value - expected) / abs(expected), relative_error(gradient, reference.as_array(by_autograd))


def balanced_weights(network, content, style, x, settings):
    """Weights with which content, style and total variation have gradients of one size, so that none hides another."""
    alone = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0}

    def size(name):
        objective = Objective(network, content=content, style=style, **settings, **{**alone, name: 1.0})
        return float(np.linalg.norm(objective.value_and_grad(x)[1]))

    return {name: 1 / size(name) for name in alone}


@pytest.mark.parametrize(("normalization", "dtype"), [
    ("published", "float64"), ("relative", "float64"), ("mean", "float64"), ("relative", "float32"),
])  # fmt: skip
@pytest.mark.parametrize(("architecture", "pooling"), NETWORKS)
def test_value_and_gradient(architecture, pooling, normalization, dtype):
    errors = typical_parity_errors(architecture, pooling, normalization, dtype)
    assert max(errors) <= TOLERANCE[dtype], errors


def test_memory_format_does_not_matter():
    """Benchmarks try PyTorch with channels last, too."""
    assert max(parity_errors("vgg19", "average", "relative", "float64", memory_format=torch.channels_last)) <= 1e-10


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("architecture", "pooling"), NETWORKS)
def test_features(architecture, pooling, dtype):
    """At every layer."""
    taps = [f"scale{s}" for s in range(1, 4)]
    if architecture != "wavelet":
        taps = list(VGG(weights_of(architecture, 1), make_backend("cpu", dtype)).layers)
    ours, theirs = both_networks(architecture, pooling, dtype, taps)
    x = noise(37, 53, 0)
    features = ours.features(x, taps)
    expected = theirs(reference.as_tensor(x, getattr(torch, dtype)), taps)
    assert list(features) == list(expected) == taps
    for name, tensor in expected.items():
        assert relative_error(features[name], reference.as_array(tensor)) <= TOLERANCE[dtype], name


def test_the_pooling_and_padding_of_style_transfer_pytorch():
    """Its factors: 2 for means, and 0.78 for roots of sums, which is 1.56 for roots of means."""
    x, taps = noise(37, 53, 0), ["relu1_1", "pool1", "relu2_1", "pool2"]
    weights, backend = weights_of("vgg16", 1), make_backend("cpu", "float64")
    state = reference.vgg_state(weights, taps, torch.float64)
    for pooling, scale in (("average", 2.0), ("l2", 1.56)):
        options = {"pooling": pooling, "pooling_scale": scale, "padding": "replicate"}
        features = VGG(weights, backend, **options).features(x, taps)
        expected = reference.TorchVGG(state, **options)(reference.as_tensor(x, torch.float64), taps)
        for name, F in features.items():
            assert relative_error(F, reference.as_array(expected[name])) <= 1e-12, (pooling, name)


# --- a program, from its definition -----------------------------------------------------------------------------------

STYLE_WEIGHTS = dict(zip(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), (256, 64, 16, 4, 1), strict=True))
OBJECTIVE = ("content_layers", "style_layers", "content_weight", "style_weight", "tv_weight", "normalization",
             "tv_normalization", "center_content", "style_loss")


def style_transfer_pytorch(network, x, content, style, unit):
    """Loss of crowsonkb/style-transfer-pytorch at an image 0–1, with features in its units, `unit` of ours.

    All losses are means over channels and positions, and the W2 distance has a ridge as ours, a share of the variance.
    """
    taps = ["relu4_2", *STYLE_WEIGHTS]
    F, P, S = ({name: y / unit for name, y in network(255 * image, taps).items()} for image in (x, content, style))
    loss = 0.015 * functional.mse_loss(F["relu4_2"], P["relu4_2"])
    for name, weight in STYLE_WEIGHTS.items():
        loss = loss + weight / 341 * distance(*(y[name][0].flatten(1).T for y in (F, S))) / F[name].shape[1]
    p = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    axes = ((p[..., 1:-1, 2:] - p[..., 1:-1, 1:-1]) ** 2).mean() + ((p[..., 2:, 1:-1] - p[..., 1:-1, 1:-1]) ** 2).mean()
    falling, rising = p[..., 1:, 1:] - p[..., :-1, :-1], p[..., 1:, :-1] - p[..., :-1, 1:]
    return loss + 2 * 2 * (axes / 3 + ((falling**2).mean() + (rising**2).mean()) / 12)


def test_the_loss_of_style_transfer_pytorch():
    settings = PRESETS["style-transfer-pytorch"].settings
    options = {name: settings[name] for name in ("pooling", "padding")}
    weights, unit = weights_of("vgg16", 1), (settings["tv_weight"] / 2) ** 0.5
    assert unit == pytest.approx(255 * np.mean([0.229, 0.224, 0.225]), rel=1e-4)  # what pixels are divided by there
    content, style, x = photograph(33, 41), striped(37, 32), 0.7 * photograph(33, 41) + 0.3 * noise(33, 41, 3)
    theirs = reference.TorchVGG(reference.vgg_state(weights, ["relu5_1"], torch.float64), **options)
    tensors = [reference.as_tensor(image / 255, torch.float64) for image in (x, content, style)]
    tensors[0].requires_grad_()
    with one_blas_thread(libraries_anew=True):  # as in a run: several would wait for each other
        expected = style_transfer_pytorch(theirs, *tensors, unit)
        expected.backward()
        ours = Objective(VGG(weights, make_backend("cpu", "float64"), **options), content=content, style=style,
                         **{name: settings[name] for name in OBJECTIVE})
        evaluation = ours.evaluate(x)
    assert evaluation.value == pytest.approx(unit**2 * expected.item(), rel=1e-10)
    assert relative_error(evaluation.gradient * 255, unit**2 * reference.as_array(tensors[0].grad)) < 1e-7
    for term in ours.terms:  # so an error of a thousandth in any weight would be seen
        assert 1e-3 * term.weight * evaluation.terms[term.name] > 1e-9 * evaluation.value, term.name


# --- losses of moments, from their definitions ------------------------------------------------------------------------


def gaussian(F):
    """Mean and covariance of features (M, N)."""
    mu = F.mean(0)
    return mu, F.T @ F / len(F) - mu[:, None] * mu[None, :]


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def distance(F, T):
    """Squared Wasserstein-2 distance of features (M, N) as Gaussians: the trace of a root is the sum of its values.

    Values that are rounding noise beside the largest count as 1e-12 of it, as they do in the loss.
    """
    (mu, C), (m, S) = gaussian(F), gaussian(T)
    ridge = 1e-4 * torch.trace(S) / len(m) * torch.eye(len(m), dtype=F.dtype)
    C, S = C + ridge, S + ridge
    values = torch.linalg.eigvalsh(root(S) @ C @ root(S))
    return ((mu - m) ** 2).sum() + torch.trace(C + S) - 2 * values.clamp(min=1e-12 * values[-1].item()).sqrt().sum()


def wasserstein(F, T):
    return distance(F, T) / torch.trace(T.T @ T / len(T))


def moments(F, T):
    """Means and deviations as shares of at least a tenth of the features' energy."""
    (G, mu, sigma), (A, m, s) = ((X.T @ X / len(X), X.mean(0), X.std(0, correction=0)) for X in (F, T))
    least = 0.1 * torch.trace(A)
    of_gram = ((G - A) ** 2).sum() / (A**2).sum()
    pairs = (mu, m), (sigma, s)
    return of_gram + sum(((a - b) ** 2).sum() / torch.maximum((b**2).sum(), least) for a, b in pairs)


@pytest.mark.parametrize(("name", "definition"), [("wasserstein", wasserstein), ("moments", moments)])
@pytest.mark.parametrize("shape", [(37, 53, 8), (3, 4, 20)], ids=["many positions", "fewer than channels"])
def test_style_losses_of_moments(name, definition, shape):
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((shape[2], shape[2]))
    F, T = rng.standard_normal(shape) + 0.3, rng.standard_normal((9, 11, shape[2])) @ mix
    backend = make_backend("cpu", "float64")
    loss = loss_examples()[f"{name}, relative"](backend, T)
    value, gradient = value_and_grad(backend, loss, F)
    x = torch.tensor(F.reshape(-1, shape[2]), requires_grad=True)
    expected = definition(x, torch.tensor(T.reshape(-1, shape[2])))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-10)
    assert relative_error(gradient.reshape(-1, shape[2]), x.grad.numpy()) < 1e-7
