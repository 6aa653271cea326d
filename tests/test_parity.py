"""The same weights and images through PyTorch's autograd give the same features, losses and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from nst_np.backend import make_backend
from nst_np.objective import Objective
from nst_np.vgg import VGG
from nst_np.wavelet import WaveletNetwork
from nst_np.weights import random_weights

torch = pytest.importorskip("torch")
F = pytest.importorskip("torch.nn.functional")

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
CONTENT, STYLES = "relu4_2", ("relu1_1", "conv2_1", "relu3_1", "pool3", "relu5_1")


def image(height, width, seed):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def torch_vgg(weights, x, pooling, dtype):
    """All taps of a VGG on x, a tensor (H, W, 3): {name: (H, W, N)}."""
    order = [2, 1, 0] if weights.color_order == "BGR" else [0, 1, 2]
    mean, scale = (torch.tensor(values, dtype=dtype) for values in (weights.mean, weights.scale))
    y = ((x[..., order] - mean) * scale).permute(2, 0, 1)[None]
    pool = {"average": F.avg_pool2d, "max": F.max_pool2d}[pooling]
    taps, block = {}, "1"
    for name, kernel in weights.kernels.items():
        if name[4] != block:
            y = pool(y, 2)
            taps[f"pool{block}"] = y
            block = name[4]
        k = torch.tensor(np.asarray(kernel).transpose(3, 2, 0, 1).copy(), dtype=dtype)
        y = F.conv2d(y, k, torch.tensor(np.asarray(weights.biases[name]), dtype=dtype), padding=1)
        taps[name] = y
        y = F.relu(y)
        taps[name.replace("conv", "relu")] = y
    return {name: y[0].permute(1, 2, 0) for name, y in taps.items()}


def torch_wavelet(x, scales, dtype):
    """scale1 … of x, (H, W, 3), from the filters' formula written out densely."""
    yy, xx = torch.meshgrid(*[torch.arange(-4, 5, dtype=torch.float64)] * 2, indexing="ij")
    bank = []
    for frequency, sigma in ((0.6 * np.pi, 9 / 7), (0.3 * np.pi, 9 / 4.5)):
        g = torch.exp(-(xx**2 + yy**2) / (2 * sigma**2))
        for o in range(8):
            t = np.pi * o / 8
            psi = g * torch.exp(1j * frequency * (xx * np.cos(t) + yy * np.sin(t)))
            psi = psi - g * psi.sum() / g.sum()
            bank.append(psi / torch.sqrt((psi.abs() ** 2).sum() / 2))
    low = torch.exp(-(xx**2 + yy**2) / (2 * (9 / 5) ** 2))
    real = [psi.real for psi in bank] + [3 * low / low.sum()] + [psi.imag for psi in bank]
    kernels = torch.stack([*real, *(-k for k in real)])[:, None].to(dtype)
    colors = torch.tensor([[1, 1, 1], [1, -1, 0], [1, 1, -2]], dtype=torch.float64)
    colors = (colors / colors.norm(dim=1, keepdim=True) * torch.tensor([[1], [1.5], [1.5]])).to(dtype)
    planes = torch.einsum("hwc,oc->ohw", (x - 118) / 60, colors)[:, None]
    halving = torch.tensor(np.convolve([1 / 3] * 3, [1 / 8, 3 / 8, 3 / 8, 1 / 8]), dtype=dtype)
    features = {}
    for s in range(1, scales + 1):
        z = F.relu(F.conv2d(F.pad(planes, (4, 4, 4, 4), mode="reflect"), kernels))
        features[f"scale{s}"] = z.permute(2, 3, 0, 1).reshape(z.shape[2], z.shape[3], -1)
        padded = F.pad(planes, (2, 2, 2, 2), mode="replicate")
        planes = F.conv2d(padded, torch.outer(halving, halving)[None, None], stride=2)
        planes = planes[:, :, : z.shape[2] // 2, : z.shape[3] // 2]
    return features


def torch_gram(F):
    flat = F.reshape(-1, F.shape[-1])
    return flat.T @ flat


def torch_total_variation(x):
    return ((x[1:] - x[:-1]) ** 2).sum() + ((x[:, 1:] - x[:, :-1]) ** 2).sum()


def torch_objective(taps, x, content, style, content_layers, style_layers, weights, normalization):
    """α content + β style + γ tv, from the formulas."""
    alpha, beta, gamma = weights
    total = 0.0
    for name, w in content_layers.items():
        D, P = taps(x)[name] - taps(content)[name], taps(content)[name]
        if normalization == "published":
            total = total + alpha * w * 0.5 * (D**2).sum()
        else:
            D = D - D.mean((0, 1))
            total = total + alpha * w * (D**2).sum() / ((P - P.mean((0, 1))) ** 2).sum()
    for name, w in style_layers.items():
        G, A = torch_gram(taps(x)[name]), torch_gram(taps(style)[name])
        M, M_style = taps(x)[name][..., 0].numel(), taps(style)[name][..., 0].numel()
        if normalization == "published":
            total = total + beta * w * ((G - A * M / M_style) ** 2).sum() / (4 * len(G) ** 2 * M**2)
        else:
            total = total + beta * w * ((G / M - A / M_style) ** 2).sum() / ((A / M_style) ** 2).sum()
    count = x[1:].numel() + x[:, 1:].numel()
    tv = torch_total_variation(x)
    return total + gamma * (tv if normalization == "published" else tv / count / 255**2)


def relative_error(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())


def parity_errors(architecture, pooling, normalization, dtype):
    """Relative errors of the objective's value and gradient: nst_np against autograd, same weights, same images."""
    kind = getattr(torch, dtype)
    if architecture == "wavelet":
        network = WaveletNetwork(make_backend("cpu", dtype))
        content_layers, style_layers = {"scale2": 1.0, "scale3": 0.5}, {f"scale{s}": 0.25 for s in range(1, 5)}
        taps = lambda x: torch_wavelet(x, 4, kind)  # noqa: E731
    else:
        weights = random_weights(architecture, 1)
        network = VGG(weights, make_backend("cpu", dtype), pooling=pooling)
        content_layers, style_layers = {CONTENT: 1.0}, dict.fromkeys(STYLES, 0.2)
        taps = lambda x: torch_vgg(weights, x, pooling, kind)  # noqa: E731
    content, style, x = image(45, 53, 1), image(41, 60, 2), image(45, 53, 3)
    weights_of_terms = (1.0, 3.0, 0.01)
    objective = Objective(
        network, content=content, style=style, content_layers=content_layers, style_layers=style_layers,
        content_weight=1.0, style_weight=3.0, tv_weight=0.01, normalization=normalization, center_content=True)
    value, gradient = objective.value_and_grad(x)
    tensor = torch.tensor(x, dtype=kind, requires_grad=True)
    targets = [torch.tensor(array, dtype=kind) for array in (content, style)]
    total = torch_objective(taps, tensor, *targets, content_layers, style_layers, weights_of_terms, normalization)
    total.backward()
    return abs(value - total.item()) / abs(total.item()), relative_error(gradient, tensor.grad.numpy())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("normalization", ["published", "relative"])
@pytest.mark.parametrize(("architecture", "pooling"), [("vgg19", "average"), ("vgg16", "max"), ("wavelet", "")])
def test_value_and_gradient(architecture, pooling, normalization, dtype):
    errors = parity_errors(architecture, pooling, normalization, dtype)
    assert max(errors) <= TOLERANCE[dtype], errors


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("architecture", ["vgg19", "wavelet"])
def test_features(architecture, dtype):
    kind = getattr(torch, dtype)
    x = image(37, 53, 0)
    if architecture == "wavelet":
        expected = torch_wavelet(torch.tensor(x, dtype=kind), 3, kind)
        network = WaveletNetwork(make_backend("cpu", dtype))
    else:
        weights = random_weights(architecture, 1)
        expected = torch_vgg(weights, torch.tensor(x, dtype=kind), "average", kind)
        network = VGG(weights, make_backend("cpu", dtype))
    features = network.features(x, expected)
    assert list(features) == list(expected)
    for name, tensor in expected.items():
        assert relative_error(features[name], tensor.numpy()) <= TOLERANCE[dtype], name
