"""An evaluation of terms is a map, a reduction and a map over pieces of the image.

    statistics of each piece  ─►  merged and weighed  ─►  gradient of each piece, added up

What is mapped are pure functions of data that can be sent to another thread, process or machine. A piece sees as many
pixels around it as its features depend on, so the result is that of the whole image, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nst_np import layers
from nst_np.arrays import Array
from nst_np.errors import InputError
from nst_np.losses import Measure
from nst_np.network import FeatureNetwork, Statistics
from nst_np.pieces import Piece
from nst_np.terms import PIXELS, Term, measures_by_tap, weigh

Map = Callable[..., Iterable[Any]]  # `map`, or that of any `concurrent.futures.Executor`
Measures = dict[str, list[Measure]]  # by tap


def evaluate(network: FeatureNetwork, terms: Sequence[Term], x: Array, pieces: Sequence[Piece] = (),
             run: Map = map) -> tuple[dict[str, float], Array]:
    """Every term at an image, and the gradient of their weighted sum.

    Parameters
    ----------
    x : (H, W, 3), on the network's device.
    pieces : of the image, each of which begins at multiples of the strides of all taps. With none or one the image is
        worked on whole, and its features are made once; with several they are made twice.
    run : maps a function over the pieces. It is given the network with each piece: where that means a copy of its
        weights, as with other processes, pieces should be large.

    Returns
    -------
    terms : as `nst_np.objective.Evaluation` has them.
    gradient : (H, W, 3).
    """
    if len(pieces) <= 1:
        return _whole(network, terms, x)
    if network.repeats:
        raise InputError("an image that repeats cannot be worked on in pieces: its pieces would have edges")
    measures = measures_by_tap(terms)
    taps = [tap for tap in measures if tap != PIXELS]
    stride = max(map(network.stride, taps), default=1)
    reach = max((measure.reach * network.stride(tap) for tap in taps for measure in measures[tap]), default=0)
    least = max(network.minimum_size(taps), network.halo(taps) + reach)
    halo = -(-least // stride) * stride
    grown = [piece.grown(halo, x.shape) for piece in pieces]
    parts = [x[part.rows, part.columns] for part in grown]
    inside = [piece.within(part) for piece, part in zip(pieces, grown, strict=True)]
    targets = [_at(network, measures, piece) for piece in pieces]
    found = list(run(statistics, [network] * len(pieces), targets, inside, parts))
    merged = found[0]
    for other in found[1:]:
        merged = {tap: [measure.merge(a, b) for measure, a, b in zip(its, merged[tap], other[tap], strict=True)]
                  for tap, its in measures.items()}
    values, d_statistics = weigh(network, terms, merged)
    total = network.backend.xp.zeros_like(x)
    times = len(pieces)
    for part, d_part in zip(grown, run(gradient, [network] * times, targets, [d_statistics] * times, inside, parts),
                            strict=True):
        total[part.rows, part.columns] += d_part
    return values, total


def statistics(network: FeatureNetwork, measures: Measures, inside: Piece, part: Array) -> Statistics:
    """Of each measure, of the features inside a part of an image.

    Parameters
    ----------
    measures : by tap, each at its region.
    inside : the piece, counted in pixels from where the part begins.
    part : (h, w, 3), the piece with the pixels around it.
    """
    features, _ = _features(network, measures, part)
    return {tap: [measure.statistic(network.backend, features[tap][_region(network, tap, measure, inside)])
                  for measure in its] for tap, its in measures.items()}


def gradient(network: FeatureNetwork, measures: Measures, d_statistics: Statistics, inside: Piece,
             part: Array) -> Array:
    """dE/d(part), (h, w, 3), through the measures of the features inside; see `statistics`.

    Parameters
    ----------
    d_statistics : dE/d(statistic) of each measure, of the whole image.
    """
    features, backward = _features(network, measures, part)
    gradients = {}
    for tap, its in measures.items():
        F = features.pop(tap)
        gradients[tap] = network.backend.xp.zeros_like(F)
        for measure, d_statistic in zip(its, d_statistics[tap], strict=True):
            region = _region(network, tap, measure, inside)
            gradients[tap][region] += measure.pull_back(network.backend, F[region], d_statistic)
    d_pixels = gradients.pop(PIXELS, None)
    total = backward(gradients)
    return total if d_pixels is None else total + d_pixels


def _features(network: FeatureNetwork, measures: Measures, part: Array) -> tuple[dict[str, Array], Any]:
    """The features at the taps, with the pixels as one of them, and the way back from all others."""
    features, backward = network.forward(part, [tap for tap in measures if tap != PIXELS])
    return {**features, PIXELS: network.as_image(part)}, backward


def _region(network: FeatureNetwork, tap: str, measure: Measure, inside: Piece) -> tuple[slice, slice]:
    """Of the features that a measure looks at: the piece, and its reach beyond that, where there is something."""
    rows, columns = inside.at(_stride(network, tap))
    return slice(rows.start, rows.stop + measure.reach), slice(columns.start, columns.stop + measure.reach)


def _at(network: FeatureNetwork, measures: Measures, piece: Piece) -> Measures:
    """The measures at a piece."""
    return {tap: [measure.at(piece.at(_stride(network, tap))) for measure in its] for tap, its in measures.items()}


def _stride(network: FeatureNetwork, tap: str) -> int:
    return 1 if tap == PIXELS else network.stride(tap)


# --- whole ------------------------------------------------------------------------------------------------------------


def _whole(network: FeatureNetwork, terms: Sequence[Term], x: Array) -> tuple[dict[str, float], Array]:
    """`evaluate` of the whole image: the network keeps what its way back needs."""
    backend = network.backend
    measures = measures_by_tap(terms)
    of_pixels = measures.pop(PIXELS, [])
    found, backward = network.measure(x, measures)
    pixels, to_image = _pixels(network, x)
    of_pixels = [measure.at(_all_of(x, network.repeats and measure.reach)) for measure in of_pixels]
    found[PIXELS] = [measure.statistic(backend, pixels) for measure in of_pixels]
    values, d_statistics = weigh(network, terms, found)
    del found
    d_pixels = None
    for_pixels = d_statistics.pop(PIXELS)
    total = backward(d_statistics)
    for measure, d_statistic in zip(of_pixels, for_pixels, strict=True):
        d_pixels = measure.pull_back(backend, pixels, d_statistic, d_pixels)
    if d_pixels is not None:
        total += to_image(d_pixels)
    return values, total


def _all_of(x: Array, start: int) -> tuple[slice, slice]:
    """All rows and columns. For what reaches beyond them in an image that repeats there are some before, as well."""
    return slice(start, start + x.shape[0]), slice(start, start + x.shape[1])


def _pixels(network: FeatureNetwork, x: Array) -> tuple[Array, layers.Backward]:
    """What measures of the pixels look at, and the way back: of an image that repeats, the opposite edge as well."""
    if not network.repeats:
        return x, lambda dx: dx
    xp = network.backend.xp
    wide, narrow = layers.wrap_pad(xp, x, 1)
    return wide[1:, 1:], lambda dx: narrow(xp.pad(dx, ((1, 0), (1, 0), (0, 0))))
