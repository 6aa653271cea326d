"""To measure an image is a map and a reduction over pieces of it, and the way back is another map.

    statistics of each piece  ─►  merged  ─►  (losses)  ─►  gradient of each piece, added up

What is mapped are pure functions of data that can be sent to another thread, process or machine. A piece sees as many
pixels around it as its features depend on, so the result is that of the whole image, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_np import layers
from nst_np.arrays import Array
from nst_np.backend import Backend
from nst_np.errors import InputError
from nst_np.losses import Measure, Statistic
from nst_np.losses.base import Region
from nst_np.network import FeatureNetwork, Features, Measures, Statistics
from nst_np.pieces import Piece, cut

Map = Callable[..., Iterable[Any]]  # `map`, or that of any `concurrent.futures.Executor`
WayBack = Callable[[Statistics], Array]
PIXELS = "pixels"  # the tap of what looks at the image itself


def measure(network: FeatureNetwork, x: Array, measures: Measures, number: int = 1,
            run: Map = map) -> tuple[Statistics, WayBack]:
    """The statistics of an image, and the way back: what `FeatureNetwork.measure` does, with pieces and pixels.

    Parameters
    ----------
    x : (H, W, 3), on the network's device.
    measures : by tap, of which `PIXELS` may be one.
    number : how many pieces there are at least (`pieces_of`). A single one is the whole image, whose features are made
        once; of several they are made twice.
    run : maps a function over the pieces. It is given the network with each piece: where that means a copy of its
        weights, as with other processes, pieces should be large.

    Returns
    -------
    statistics : of each measure.
    backward : takes dE/d(statistic) of each measure and returns dE/dx, (H, W, 3). It can be called once.
    """
    return cut_for(network, measures, x.shape, number).measure(x, run)


def cut_for(network: FeatureNetwork, measures: Measures, shape: tuple[int, ...], number: int = 1) -> Cut:
    """How images of a shape (height, width, …) are measured; see `measure`."""
    pieces = pieces_of(network, measures, shape, number)
    if len(pieces) == 1:
        return Cut(network, measures, (), ())
    grown = grown_pieces(network, measures, shape, pieces)
    targets = [_inside(network, measures, piece, part) for piece, part in zip(pieces, grown, strict=True)]
    return Cut(network, measures, tuple(grown), tuple(targets))


@dataclass(frozen=True, eq=False)
class Cut:
    """What is measured of images of one shape, and in which pieces. Who maps finds the same objects at each image.

    Attributes
    ----------
    network, measures : as for `measure`.
    parts : the pieces with the pixels around them; none for whole images.
    targets : the measures of each piece, for the features of its part.
    """

    network: FeatureNetwork
    measures: Measures
    parts: tuple[Piece, ...]
    targets: tuple[Measures, ...]

    def measure(self, x: Array, run: Map = map) -> tuple[Statistics, WayBack]:
        """The statistics of an image of that shape, and the way back."""
        if not self.parts:
            return _whole(self.network, x, self.measures)
        networks = [self.network] * len(self.parts)
        pixels = [x[part.rows, part.columns] for part in self.parts]
        merged: dict[str, list[Statistic]] = {}
        for found in run(statistics, networks, self.targets, pixels):
            merged = found if not merged else {
                tap: [measure.merge(a, b) for measure, a, b in zip(its, merged[tap], found[tap], strict=True)]
                for tap, its in self.measures.items()}

        def backward(d_statistics: Statistics) -> Array:
            total = self.network.backend.xp.zeros_like(x)
            gradients = run(gradient, networks, self.targets, [d_statistics] * len(self.parts), pixels)
            for part, d_part in zip(self.parts, gradients, strict=True):
                total[part.rows, part.columns] += d_part
            return total

        return merged, backward


def features(network: FeatureNetwork, image: Array, taps: Iterable[str]) -> Features:
    """`FeatureNetwork.features` of an image of any range, made in the pieces that the network asks for."""
    taps = list(taps)
    x = network.as_image(image)
    pieces = pieces_of(network, taps, x.shape)
    if len(pieces) == 1:
        return network.features(x, taps, any_range=True)
    whole: Features = {}
    for piece, part in zip(pieces, grown_pieces(network, taps, x.shape, pieces), strict=True):
        inside = piece.within(part)
        for layer, F in network.features(x[part.rows, part.columns], taps, any_range=True).items():
            stride = network.stride(layer)
            if layer not in whole:
                shape = x.shape[0] // stride, x.shape[1] // stride, F.shape[2]
                whole[layer] = network.backend.xp.empty_like(F, shape=shape)  # with its axes in memory as those of F
            whole[layer][piece.at(stride)] = F[inside.at(stride)]
    return whole


# --- pieces -----------------------------------------------------------------------------------------------------------


def pieces_of(network: FeatureNetwork, taps: Iterable[str], shape: tuple[int, ...], number: int = 1) -> list[Piece]:
    """The pieces of an image of a shape (height, width, …): about so many, or as many as the network asks for.

    They begin at multiples of the strides of all taps.

    Raises
    ------
    InputError
        If there would be several of an image that repeats.
    """
    multiple = max((network.stride(tap) for tap in taps if tap != PIXELS), default=1)
    pieces = cut(shape, number, multiple, network.piece_size)
    if len(pieces) > 1 and network.repeats:
        raise InputError("an image that repeats cannot be worked on in pieces: its pieces would have edges")
    return pieces


def grown_pieces(network: FeatureNetwork, measures: Measures | Iterable[str], shape: tuple[int, ...],
                 pieces: Sequence[Piece]) -> list[Piece]:
    """Each piece with the pixels around it that its features depend on, or that measures or layers have to have."""
    taps = [tap for tap in measures if tap != PIXELS]
    stride = max(map(network.stride, taps), default=1)
    reaches = [measure.reach * network.stride(tap) for tap in taps
               for measure in (measures[tap] if isinstance(measures, Mapping) else ())]
    least = max(network.minimum_size(taps), network.halo(taps) + max(reaches, default=0))
    halo = -(-least // stride) * stride
    return [piece.grown(halo, shape) for piece in pieces]


def statistics(network: FeatureNetwork, measures: Measures, part: Array) -> Statistics:
    """Of each measure, of the features of a part of an image, (h, w, 3)."""
    found, _ = _whole(network, part, measures)
    return found


def gradient(network: FeatureNetwork, measures: Measures, d_statistics: Statistics, part: Array) -> Array:
    """dE/d(part), (h, w, 3), from dE/d(statistic) of the whole image."""
    _, backward = _whole(network, part, measures)
    return backward(d_statistics)


@dataclass(frozen=True, eq=False)
class Inside(Measure):
    """A measure of a region of the features that it is shown.

    Attributes
    ----------
    measure : is at that region already.
    region : rows and columns without its reach, with ends.
    reach : as the measure has it.
    """

    measure: Measure
    region: Region
    reach: int

    def at(self, region: Region) -> Inside:
        """What of the region is in those rows and columns."""
        parts, here = [], []
        for along, its in zip(region, self.region, strict=True):
            start, stop = along.start or 0, its.stop if along.stop is None else along.stop
            first = min(max(start, its.start), its.stop)
            last = max(first, min(stop, its.stop))
            parts.append(slice(first - its.start, last - its.start))
            here.append(slice(first - start, last - start))
        return Inside(self.measure.at((parts[0], parts[1])), (here[0], here[1]), self.reach)

    def statistic(self, backend: Backend, F: Array) -> Statistic:
        """Of the region; nothing where there is none of it."""
        return () if self._is_empty else self.measure.statistic(backend, F[self._seen])

    def merge(self, a: Statistic, b: Statistic) -> Statistic:
        """Of both, either of which may be nothing."""
        return self.measure.merge(a, b) if a and b else a or b

    def pull_back(self, backend: Backend, F: Array, d_statistic: Statistic, add_to: Array | None = None) -> Array:
        """The measure's gradient in the region, and 0 elsewhere."""
        total: Array = backend.xp.zeros_like(F) if add_to is None else add_to
        if not self._is_empty:
            total[self._seen] += self.measure.pull_back(backend, F[self._seen], d_statistic)
        return total

    @property
    def _is_empty(self) -> bool:
        return any(along.stop <= along.start for along in self.region)

    @property
    def _seen(self) -> Region:
        """The region, and the reach beyond that, where there is something."""
        rows, columns = self.region
        return slice(rows.start, rows.stop + self.reach), slice(columns.start, columns.stop + self.reach)


def _inside(network: FeatureNetwork, measures: Measures, piece: Piece, part: Piece) -> Measures:
    """The measures at a piece of an image, for the features of the part around it."""
    found: dict[str, list[Measure]] = {}
    for tap, its in measures.items():
        stride = 1 if tap == PIXELS else network.stride(tap)
        region, inside = piece.at(stride), piece.within(part).at(stride)
        found[tap] = [Inside(measure.at(region), inside, measure.reach) for measure in its]
    return found


# --- whole ------------------------------------------------------------------------------------------------------------


def _whole(network: FeatureNetwork, x: Array, measures: Measures) -> tuple[Statistics, WayBack]:
    """`measure` of an image by itself: the network keeps what its way back needs."""
    backend = network.backend
    found, to_image = network.measure(x, {tap: its for tap, its in measures.items() if tap != PIXELS})
    pixels, narrow = _pixels(network, x)
    of_pixels = [measure.at(_all_of(x, network.repeats and measure.reach)) for measure in measures.get(PIXELS, ())]
    found[PIXELS] = [measure.statistic(backend, pixels) for measure in of_pixels]

    def backward(d_statistics: Statistics) -> Array:
        total = to_image({tap: each for tap, each in d_statistics.items() if tap != PIXELS})
        d_pixels = None
        for measure, d_statistic in zip(of_pixels, d_statistics.get(PIXELS, ()), strict=True):
            d_pixels = measure.pull_back(backend, pixels, d_statistic, d_pixels)
        if d_pixels is not None:
            total += narrow(d_pixels)
        return total

    return found, backward


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
