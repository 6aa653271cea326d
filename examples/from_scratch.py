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
FILES = {"PHOTO": HERE / "photographs" / "cat.jpg", "PAINTING": HERE / "paintings" / "mosaic.jpg", "OUT": "painted.png"}
CONTENT = {"relu4_2": 0.005}  # what the loss of a layer is worth in L, where 1 is its loss if the layer saw nothing
STYLE = {"relu1_1": 0.75, "relu2_1": 0.19, "relu3_1": 0.045, "relu4_1": 0.012, "relu5_1": 0.003}
SIZES, ITERATIONS = (64, 128, 256, 384), 50  # the picture's longer side in pixels, and L-BFGS-B's steps at each

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
    odd = (0, x.shape[0] - height), (0, x.shape[1] - width), (0, 0)
    y = sum(x[i:height:2, j:width:2] for i in range(2) for j in range(2)) / 4
    return y, lambda dy: np.pad((dy / 4).repeat(2, axis=0).repeat(2, axis=1), odd)

# --- the network: a list of (name, layer) -----------------------------------------------------------------------------
def read_network():
    """VGG16 (Simonyan & Zisserman 2015) up to relu5_1."""
    network, file = [("preprocess", preprocess)], np.load(HERE.parent / "weights" / "vgg16-compact.npz")
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

# --- losses: E and dE/dF. With its pixels in a row, F is M positions × N channels, the paper's F transposed -----------
def content_loss(F, P):
    """How far F is from P, the photograph's. Where F = 0, the way back through relu gives 0, as Eq. 2 does."""
    return ((F - P) ** 2).sum() / 2, F - P  # Eqs. 1 and 2

def gram(F):
    """How much of every two channels occurs together, wherever it does: positions are summed out."""
    return F.reshape(-1, F.shape[2]).T @ F.reshape(-1, F.shape[2])  # Eq. 3

def style_loss(F, A):
    """How far G is from A, the painting's. δG = δF.T @ F + F.T @ δF, and dG is symmetric, so dF = 2 F @ dG."""
    D, NM = gram(F) - A, F.size
    return (D**2).sum() / (4 * NM**2), F @ D / NM**2  # Eqs. 4 and 6

# --- what is minimised: a list of (layer, loss, P or A, weight) -------------------------------------------------------
def objective(photo, painting, network):
    """Content as in the photograph, style as in the painting. Weights are shares of what the losses are at F = 0."""
    P, S = forward(photo, network)[0], forward(painting, network)[0]
    terms = [(layer, content_loss, P[layer], share) for layer, share in CONTENT.items()]
    terms += [(layer, style_loss, gram(S[layer]), share) for layer, share in STYLE.items()]
    return [(layer, loss, target, share / loss(0 * P[layer], target)[0]) for layer, loss, target, share in terms]

def value_and_gradient(x, network, terms):
    """L and dL/dx: up through the network and back, where each loss adds its own gradient to what comes from above."""
    features, way_back = forward(x, network)
    L, dx, gradients = 0, 0, dict.fromkeys(features, 0)
    for layer, loss, target, weight in terms:
        E, dF = loss(features[layer], target)
        L, gradients[layer] = L + weight * E, gradients[layer] + weight * dF  # Eqs. 5 and 7
    for layer, backward in reversed(way_back):
        dx = backward(dx + gradients[layer])
    return L, dx

# --- painting ---------------------------------------------------------------------------------------------------------
def paint(x, photo, painting, network):
    """Downhill from a picture x."""
    terms = objective(photo, painting, network)

    def function(v):
        L, dx = value_and_gradient(v.reshape(x.shape).astype(np.float32), network, terms)
        return x.size * L, x.size * dx.ravel().astype(float)  # times so many that no pixel's part of it is tiny

    found = minimize(function, x.ravel(), jac=True, method="L-BFGS-B",
                     options={"maxiter": ITERATIONS, "ftol": 0, "gtol": 0})
    print(f"{x.shape[1]}×{x.shape[0]}: L = {found.fun / x.size:.4f} after {found.nfev} evaluations")
    return found.x.reshape(x.shape)

def main(PHOTO, PAINTING, OUT):
    """From small to large: first the painting's large forms, then its strokes. OUT is written at each size."""
    photo, painting = (ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in (PHOTO, PAINTING))
    picture, network = photo, read_network()
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
