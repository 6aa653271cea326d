"""Cosine distances between places, the pairs that are nearest, and the way back from both to the features."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.losses.base import total

ROWS = 1024  # of distances at a time, where only the nearest are kept
SHORTEST = 1e-8  # below the length of any feature that matters


def normalized(backend: Backend, X: Array) -> tuple[Array, Array]:
    """The rows of X, (n, N), divided by their lengths; and one over these, (n, 1)."""
    xp = backend.xp
    shrink = 1 / xp.sqrt(xp.maximum((X * X).sum(axis=1, keepdims=True), SHORTEST**2))
    return X * shrink, shrink


def from_normalized(unit: Array, shrink: Array, d_unit: Array) -> Array:
    """dE/dX given dE/d(X / |X|): what of it is across X, divided by |X|."""
    return (d_unit - (d_unit * unit).sum(axis=1, keepdims=True) * unit) * shrink


def cosine_distances(backend: Backend, X: Array, Y: Array) -> Array:
    """``1 - x·y`` of all rows of X, (n, N), and Y, (m, N), all of length one: (n, m)."""
    distances = backend.engine.product(X, Y.T)
    distances *= -1
    distances += 1
    return distances


def nearest(backend: Backend, X: Array, Y: Array) -> Array:
    """Of each row of X, (n, N), the row of Y, (m, N), with the largest product: n numbers."""
    transposed = Y.T
    rows = [backend.engine.product(X[start : start + ROWS], transposed).argmax(axis=1)
            for start in range(0, len(X), ROWS)]
    return backend.xp.concatenate(rows)


def relaxed(backend: Backend, D: Array) -> tuple[float, Array, Array]:
    """The relaxed earth mover's distance of distances D, (n, m): ``max(mean_i min_j D_ij, mean_j min_i D_ij)``.

    Also the pairs (i, j) whose distances are averaged: all other distances have no derivative.
    """
    xp = backend.xp
    n, m = D.shape
    j, i = D.argmin(axis=1), D.argmin(axis=0)
    of_rows, of_columns = total(backend, D[xp.arange(n), j]) / n, total(backend, D[i, xp.arange(m)]) / m
    return (of_rows, xp.arange(n), j) if of_rows >= of_columns else (of_columns, i, xp.arange(m))


def gathered(backend: Backend, i: Array, per_pair: Array, n: int) -> Array:
    """(n, N): what pairs, (p, N), give to the rows i that they have."""
    rows = backend.to_host(i)
    ones = np.ones(len(rows), backend.dtype)
    pairs = sparse.csr_matrix((ones, (rows, np.arange(len(rows)))), shape=(n, len(rows)))
    return backend.sparse_product(pairs, per_pair)
