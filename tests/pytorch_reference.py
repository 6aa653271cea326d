"""Both networks and the objective once more, in PyTorch and for its autograd: what nst_np is held to and timed against.

Written from the formulas, and as a user of PyTorch would write them: images are (1, 3, H, W) tensors, RGB 0–255,
features ``{layer: (1, N_l, H_l, W_l)}``; parameters need no gradient, ReLU works in place where nobody looks at what it
overwrites, and nothing is computed beyond the deepest tap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from nst_np.weights import VGGWeights

Tensor = Any  # torch.Tensor
Features = dict[str, Tensor]
Network = Callable[[Tensor, Iterable[str]], Features]

POOLS: dict[str, Callable[..., Tensor]] = {
    "average": functional.avg_pool2d, "max": functional.max_pool2d,
    "l2": lambda x, size: functional.lp_pool2d(x, 2.0, size) / size,  # which takes the root of the sum, not of the mean
}


def as_tensor(image: np.ndarray, dtype: Any = torch.float32) -> Tensor:
    """(H, W, 3) to (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(dtype)


def as_array(tensor: Tensor) -> np.ndarray:
    """(1, N, H, W) to (H, W, N)."""
    array: np.ndarray = tensor[0].permute(1, 2, 0).numpy()
    return array


# --- VGG --------------------------------------------------------------------------------------------------------------


def vgg_state(weights: VGGWeights, taps: Iterable[str], dtype: Any = torch.float32,
              memory_format: Any = torch.contiguous_format) -> dict[str, Tensor]:
    """The parameters that `taps` need and no others, by PyTorch's names, for input in RGB.

    In the memory format ``torch.channels_last`` they make every activation have it, too.
    """
    rgb = slice(None, None, -1) if weights.color_order == "BGR" else slice(None)
    mean, scale = (torch.tensor(values[rgb], dtype=dtype)[:, None, None] for values in (weights.mean, weights.scale))
    state = {"mean": mean, "scale": scale}
    deepest = max(map(_last_convolution, taps))
    for name in (name for name in weights.kernels if name <= deepest):
        kernel = weights.kernels[name][:, :, rgb] if name == "conv1_1" else weights.kernels[name]
        kernel = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"{name}.weight"] = kernel.to(dtype=dtype, memory_format=memory_format)
        state[f"{name}.bias"] = torch.from_numpy(weights.biases[name].copy()).to(dtype)
    return state


def _last_convolution(tap: str) -> str:
    """The last convolution that a layer needs; of a block of three, the fourth stands for it."""
    return f"conv{tap[4:]}" if "_" in tap else f"conv{tap[4:]}_4"


class TorchVGG:
    """VGG16 or VGG19 with the parameters of `vgg_state`."""

    def __init__(self, state: Mapping[str, Tensor], *, pooling: str = "average", pooling_scale: float = 1.0,
                 padding: str = "zeros") -> None:
        self._state, self._pool, self._scale, self._padding = state, POOLS[pooling], pooling_scale, padding
        self._layers: list[str] = []
        for name in (key[4:].removesuffix(".weight") for key in state if key.endswith(".weight")):
            if name.endswith("_1") and self._layers:
                self._layers.append(f"pool{int(name[0]) - 1}")
            self._layers += [f"conv{name}", f"relu{name}"]
        self._layers.append(f"pool{name[0]}")

    def __call__(self, x: Tensor, taps: Iterable[str]) -> Features:
        """Features at `taps`."""
        taps = set(taps)
        features: Features = {}
        y = (x - self._state["mean"]) * self._state["scale"]
        for name in self._layers:
            y = self._layer(name, y, in_place=name.replace("relu", "conv") not in taps)
            if name in taps:
                features[name] = y
            if len(features) == len(taps):
                break
        return features

    def _layer(self, name: str, x: Tensor, in_place: bool) -> Tensor:
        if name == "conv1_1" and self._padding == "replicate":
            x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
            return functional.conv2d(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"])
        if name.startswith("conv"):
            return functional.conv2d(x, self._state[f"{name}.weight"], self._state[f"{name}.bias"], padding=1)
        if name.startswith("relu"):
            return functional.relu(x, inplace=in_place)
        return self._pool(x, 2) * self._scale if self._scale != 1 else self._pool(x, 2)


# --- wavelets ---------------------------------------------------------------------------------------------------------


class TorchWavelets:
    """The built-in network: oriented wavelets of three opponent colours, rectified, at every scale of a pyramid.

    The colours are groups of one convolution, which PyTorch has faster than a batch of three planes.
    """

    def __init__(self, dtype: Any = torch.float32) -> None:
        self._kernels = wavelet_kernels().repeat(3, 1, 1)[:, None].to(dtype)
        colors = torch.tensor([[1, 1, 1], [1, -1, 0], [1, 1, -2]], dtype=torch.float64)
        colors = colors / colors.norm(dim=1, keepdim=True) * torch.tensor([[1], [1.5], [1.5]])
        self._colors = colors[:, :, None, None].to(dtype)
        halving = torch.tensor(np.convolve([1 / 3] * 3, [1 / 8, 3 / 8, 3 / 8, 1 / 8]), dtype=dtype)
        self._halving = torch.outer(halving, halving).repeat(3, 1, 1, 1)

    def __call__(self, x: Tensor, taps: Iterable[str]) -> Features:
        """Features at `taps`, of ``scale1``, ``scale2``, …"""
        scales = {int(tap.removeprefix("scale")) for tap in taps}
        features: Features = {}
        planes = functional.conv2d((x - 118) / 60, self._colors)
        for scale in range(1, max(scales) + 1):
            if scale in scales:
                features[f"scale{scale}"] = self._rectified(planes)
            if scale < max(scales):
                padded = functional.pad(planes, (2, 2, 2, 2), mode="replicate")
                planes = functional.conv2d(padded, self._halving, stride=2, groups=3)
        return features

    def _rectified(self, planes: Tensor) -> Tensor:
        """(1, 3, H, W) to (1, 198, H, W): for each colour 33 responses, then their negatives, all rectified."""
        height, width = planes.shape[-2:]
        padded = functional.pad(planes, (4, 4, 4, 4), mode="reflect")
        z = functional.conv2d(padded, self._kernels, groups=3).reshape(3, -1, height, width)
        return functional.relu(torch.cat([z, -z], dim=1), inplace=True).reshape(1, -1, height, width)


def wavelet_kernels() -> Tensor:
    """(33, 9, 9) float64, written out densely from the filters' formula: real parts, low-pass, imaginary parts."""
    yy, xx = torch.meshgrid(*[torch.arange(-4, 5, dtype=torch.float64)] * 2, indexing="ij")
    bank = []
    for frequency, sigma in ((0.6 * math.pi, 9 / 7), (0.3 * math.pi, 9 / 4.5)):
        g = torch.exp(-(xx**2 + yy**2) / (2 * sigma**2))
        for t in (math.pi * orientation / 8 for orientation in range(8)):
            psi = g * torch.exp(1j * frequency * (xx * math.cos(t) + yy * math.sin(t)))
            psi = psi - g * psi.sum() / g.sum()
            bank.append(psi / torch.sqrt((psi.abs() ** 2).sum() / 2))
    low = torch.exp(-(xx**2 + yy**2) / (2 * (9 / 5) ** 2))
    return torch.stack([*(psi.real for psi in bank), 3 * low / low.sum(), *(psi.imag for psi in bank)])


# --- objective --------------------------------------------------------------------------------------------------------


def gram(y: Tensor) -> Tensor:
    """(N, N) of features (1, N, H, W), from a view of them in either memory format: without a copy."""
    if y.is_contiguous():
        flat = y.flatten(2)[0]
        return flat @ flat.T
    flat = y.permute(0, 2, 3, 1).flatten(0, 2)
    return flat.T @ flat


def positions(y: Tensor) -> int:
    """M, the height times the width of features (1, N, H, W)."""
    height, width = y.shape[-2:]
    return int(height * width)


def centered(y: Tensor) -> Tensor:
    """Features without each channel's mean."""
    return y - y.mean((-2, -1), keepdim=True)


class TorchObjective:
    """`nst_np.Objective`: α content + β style + γ total variation, in each normalisation, from the formulas."""

    def __init__(self, network: Network, content: Tensor, style: Tensor, *, content_layers: Mapping[str, float],
                 style_layers: Mapping[str, float], content_weight: float, style_weight: float, tv_weight: float = 0.0,
                 normalization: str, center_content: bool) -> None:
        self._network, self._taps = network, {*content_layers, *style_layers}
        self._content_layers, self._style_layers = content_layers, style_layers
        self._weights = content_weight, style_weight, tv_weight
        self._normalization, self._center = normalization, center_content
        with torch.no_grad():
            self._P = network(content, content_layers)
            self._variation = {name: (centered(P) ** 2).sum() for name, P in self._P.items()}
            self._A = {name: gram(y) / positions(y) for name, y in network(style, style_layers).items()}
            self._norm = {name: (A**2).sum() for name, A in self._A.items()}

    def loss(self, x: Tensor) -> Tensor:
        """The weighted sum at an image (1, 3, H, W), a scalar."""
        features = self._network(x, self._taps)
        alpha, beta, gamma = self._weights
        content = sum(w * self._content_loss(name, features[name]) for name, w in self._content_layers.items())
        style = sum(w * self._style_loss(name, features[name]) for name, w in self._style_layers.items())
        total = alpha * content + beta * style
        return total + gamma * self._total_variation(x) if gamma else total

    def value_and_grad(self, x: Tensor) -> tuple[float, Tensor]:
        """The loss as a float, and its gradient by autograd, (1, 3, H, W)."""
        x = x.detach().requires_grad_()
        value = self.loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        return value.item(), gradient

    def _content_loss(self, name: str, y: Tensor) -> Tensor:
        D = y - self._P[name]
        if self._normalization == "published":
            return (D**2).sum() / 2
        if self._normalization == "mean":
            return (D**2).mean()
        return ((centered(D) if self._center else D) ** 2).sum() / self._variation[name]

    def _style_loss(self, name: str, y: Tensor) -> Tensor:
        G, A, M = gram(y), self._A[name], positions(y)
        if self._normalization == "published":
            return ((G - M * A) ** 2).sum() / (4 * len(G) ** 2 * M**2)
        if self._normalization == "mean":
            return ((G / (len(G) * M) - A / len(G)) ** 2).mean()
        return ((G / M - A) ** 2).sum() / self._norm[name]

    def _total_variation(self, x: Tensor) -> Tensor:
        down, right = x[:, :, 1:] - x[:, :, :-1], x[..., 1:] - x[..., :-1]
        if self._normalization == "mean":
            return (down**2).mean() + (right**2).mean()
        total = (down**2).sum() + (right**2).sum()
        return total / (down.numel() + right.numel()) / 255**2 if self._normalization == "relative" else total
