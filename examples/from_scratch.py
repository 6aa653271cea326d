"""A photograph in the style of a painting, from scratch: all of neural style transfer, with every derivative by hand.

    python examples/from_scratch.py PHOTO PAINTING OUT

VGG16, a network that learned to recognise what is in a picture, looks at pictures. What a deep layer answers is the
picture's content. Which of a layer's answers occur together, wherever they do, is its style. We begin with the
photograph and change its pixels, so that the content stays and the style becomes the painting's: a number L says how
far away we are, and dL/d(pixel) says where to go.

The calculus is the chain rule. Let a layer make y of x, and let dx and dy be the arrays of all dL/dx and all dL/dy.
A small change δx changes y by some δy, and so L by Σ dy·δy. Write δy in terms of δx: what then stands beside δx is dx.
So a layer returns two things: y, and a function `backward` that makes dx of dy. Its docstring is the derivation.

Equations are those of Gatys, Ecker & Bethge, "A Neural Algorithm of Artistic Style", 2015, arXiv 1508.06576.
"""
import argparse
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.optimize import minimize

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent / "weights" / "vgg16-compact.npz"
FILES = {"PHOTO": HERE / "photographs" / "cat.jpg", "PAINTING": HERE / "paintings" / "mosaic.jpg", "OUT": "painted.png"}
CONTENT, CONTENT_SHARE = "relu4_2", 0.005  # what the loss of a layer is worth in L
STYLE_SHARES = {"relu1_1": 0.75, "relu2_1": 0.19, "relu3_1": 0.045, "relu4_1": 0.012, "relu5_1": 0.003}
SIZES, ITERATIONS = (64, 128, 256, 384), 50  # of the picture's longer side, in pixels; and steps at each


# --- layers: x and y are (height, width, channels) --------------------------------------------------------------------
def preprocess(x):
    """VGG wants blue first, and its mean colour taken off. That is constant, so δy is δx with the colours reversed."""
    return x[..., ::-1] - np.array([103.939, 116.779, 123.68], x.dtype), lambda dy: dy[..., ::-1]


def correlate(x, kernel):
    """y[p] = Σ_o x[p + o] @ kernel[o], with o the nine steps from a pixel to its neighbours; x is 0 beyond its edges.

    Lay the rows of x end to end. Then o is a step along one line, and y is a sum of nine shifted matrix products.
    """
    height, width = x.shape[0], x.shape[1] + 2
    line = np.pad(x, ((1, 2), (1, 1), (0, 0))).reshape(-1, x.shape[2])
    y = sum(line[i * width + j :][: height * width] @ kernel[i, j] for i in range(3) for j in range(3))
    return y.reshape(height, width, -1)[:, :-2]


def convolution(x, kernel, bias):
    """δy[p] = Σ_o δx[p + o] @ kernel[o], so dx[q] = Σ_o dy[q - o] @ kernel[o].T: the same sum, the kernel turned."""
    return correlate(x, kernel) + bias, lambda dy: correlate(dy, kernel[::-1, ::-1].swapaxes(2, 3))


def relu(x):
    """y = max(x, 0). Where x > 0, δy = δx; elsewhere y stays 0 and δy = 0."""
    return np.maximum(x, 0), lambda dy: dy * (x > 0)


def average_pool(x):
    """y is the mean of 2×2 pixels, and δy that of four δx: each gets dy / 4. A last odd row or column has no part."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2

    def backward(dy):
        dx = np.zeros_like(x)
        dx[:height, :width] = (dy / 4).repeat(2, axis=0).repeat(2, axis=1)
        return dx

    return sum(x[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)) / 4, backward


# --- the network: a list of (name, layer) -----------------------------------------------------------------------------
def read_network():
    """VGG16 (Simonyan & Zisserman 2015) up to relu5_1."""
    network, file = [("preprocess", preprocess)], np.load(WEIGHTS)
    for name in ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1"):
        kernel, bias = file[f"conv{name}.kernel"], file[f"conv{name}.bias"]
        if name != "1_1":  # is packed: signed bytes, of which ±127 goes on with the next; times the channel's scale
            steps = np.frombuffer(zlib.decompress(kernel), np.int8).astype(np.float32)
            starts = np.flatnonzero(np.append(True, abs(steps[:-1]) < 127))
            kernel = np.add.reduceat(steps, starts).reshape(3, 3, -1, len(bias)) * file[f"conv{name}.scale"]
        if name in ("2_1", "3_1", "4_1", "5_1"):
            network.append(("pool", average_pool))
        network += [(f"conv{name}", partial(convolution, kernel=kernel, bias=bias)), (f"relu{name}", relu)]
    return network


def forward(x, network):
    """What each layer makes of a picture, {layer: F}; and the way back, a list of (layer, backward)."""
    features, way_back = {}, []
    for name, layer in network:
        x, backward = layer(x)
        features[name] = x
        way_back.append((name, backward))
    return features, way_back


# --- losses: each returns E and dF, which is dE/dF --------------------------------------------------------------------
def content_loss(F, P):
    """How far features F are from the photograph's, P. Where F = 0, the way back through relu makes dF 0, as in Eq. 2."""
    return ((F - P) ** 2).sum() / 2, F - P  # Eqs. 1 and 2


def gram(F):
    """How much of every two channels occurs together. Ft is the paper's F, transposed: positions × channels."""
    Ft = F.reshape(-1, F.shape[2])
    return Ft.T @ Ft, Ft  # Eq. 3


def style_loss(F, A):
    """How far G is from the painting's, A. δG = δFt.T @ Ft + Ft.T @ δFt, and dG is symmetric, so dFt = 2 Ft @ dG."""
    (G, Ft), scale = gram(F), 1 / F.size**2  # F has N channels × M positions: its size is N M
    return scale / 4 * ((G - A) ** 2).sum(), (scale * Ft @ (G - A)).reshape(F.shape)  # Eqs. 4 and 6


def aim(photo, painting, network):
    """What pictures are compared with, P and A; and weights α and w_l, by which a loss is 1 × its share at F = 0."""
    seen, painted = forward(photo, network)[0], forward(painting, network)[0]
    P, A = seen[CONTENT], {layer: gram(painted[layer])[0] for layer in STYLE_SHARES}
    w = {layer: share / style_loss(0 * painted[layer], A[layer])[0] for layer, share in STYLE_SHARES.items()}
    return P, A, CONTENT_SHARE / content_loss(0 * P, P)[0], w


def value_and_gradient(x, network, P, A, alpha, w):
    """L and dL/dx: up through the network and back, where each loss adds its dF to what comes from above."""
    features, way_back = forward(x, network)
    E, dF = content_loss(features[CONTENT], P)
    L, gradients = alpha * E, {CONTENT: alpha * dF}
    for layer in w:
        E, dF = style_loss(features[layer], A[layer])
        L, gradients[layer] = L + w[layer] * E, w[layer] * dF  # Eqs. 5 and 7, with β = 1
    dx = 0
    for layer, backward in reversed(way_back):
        dx = backward(dx + gradients.get(layer, 0))
    return L, dx


# --- painting ---------------------------------------------------------------------------------------------------------
def paint(x, photo, painting, network):
    """Downhill from a picture x, by L-BFGS-B."""
    target = aim(photo, painting, network)

    def function(v):
        L, dx = value_and_gradient(v.reshape(x.shape).astype(np.float32), network, *target)
        return x.size * L, x.size * dx.ravel().astype(float)  # so that a pixel's share is no tiny number

    options = {"maxiter": ITERATIONS, "ftol": 0, "gtol": 0}
    found = minimize(function, x.ravel(), jac=True, method="L-BFGS-B", options=options)
    print(f"{x.shape[1]}×{x.shape[0]}: L = {found.fun / x.size:.4f} after {found.nfev} evaluations")
    return found.x.reshape(x.shape)


def main(PHOTO, PAINTING, OUT):
    """From small to large: first the painting's large forms, then its strokes. OUT is written at each size."""
    network = read_network()
    photo, painting = (ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in (PHOTO, PAINTING))
    picture = photo
    for size in SIZES:
        shape = [max(16, round(side * size / max(photo.size))) for side in photo.size]
        images = [np.asarray(ImageOps.fit(image, shape), np.float32) for image in (picture, photo, painting)]
        picture = Image.fromarray(paint(*images, network).clip(0, 255).round().astype(np.uint8))
        picture.save(OUT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in FILES.items():
        parser.add_argument(name, nargs="?", default=default)
    try:
        main(**vars(parser.parse_args()))
    except (OSError, ValueError) as error:
        parser.error(str(error))
