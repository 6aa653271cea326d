"""What a run will take; and where it would not fit as a whole, pieces, optimiser and pairs with which it does."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from nst_np.config import Config, replace
from nst_np.forecast import memory
from nst_np.forecast.estimate import ROUND_SIZES, Estimate, peak_bytes, predict, room
from nst_np.forecast.plan import Plan
from nst_np.forecast.rehearsal import Build, Costs, rehearse, rehearse_pieces
from nst_np.network import FeatureNetwork
from nst_np.optimize import PAIRS
from nst_np.values import bytes_of

SHARE = 0.75  # of the free memory, that a run may take for which something is chosen
#: Longest sides of pieces. Smaller ones are tried where nothing fits with larger ones: the smaller a piece, the more of
#: its work is for the pixels around it.
LEAST_SIDES = (1024, 512, 256)
FEWEST_PAIRS = 3  # with fewer L-BFGS learns little of the function
SMALLEST_PIECE = Config.__dataclass_fields__["piece_size"].metadata["minimum"]
Chosen = Mapping[str, Any]  # settings


def forecast(plan: Plan, network: FeatureNetwork, build: Build, *, may_choose: bool = True) -> Estimate:
    """Estimate a run on this machine, as it is now.

    Parameters
    ----------
    plan : the run.
    network : its network.
    build : makes its objective, from settings, network, content and style image.
    may_choose : whether what the settings leave open is to be chosen: pieces, optimiser and pairs with which a run fits
        that would not as a whole.

    Raises
    ------
    InputError
        If the run itself would: a layer does not exist, or an image is too small for its layers at the first size.
    """
    plan.check_layers(network)
    backend, config = network.backend, plan.config
    most = None if config.memory is None else bytes_of("memory", config.memory) - memory.held_bytes(backend)
    costs, *on_host = rehearse(plan, network, build)
    if config.piece_size is not None:
        costs = costs._replace(pieces=rehearse_pieces(plan, network, build))
    place = memory.free_bytes(backend), backend.device, most
    found = predict(plan, costs, *place)
    if not found.fits and may_choose and config.piece_size is None and not config.tileable:
        found = _choose(plan, network, build, costs, place)
    estimates = [found, *(predict(plan, one, memory.free_on_host()) for one in on_host)]
    limiting = max(estimates, key=lambda estimate: estimate.peak_bytes / max(1, estimate.free_bytes))
    return dataclasses.replace(limiting, chosen=found.chosen)


def _choose(plan: Plan, network: FeatureNetwork, build: Build, costs: Costs,
            place: tuple[int, str, int | None]) -> Estimate:
    """The run with the settings that are chosen; if it does not fit with any, with those that take the least memory.

    Few pieces come first, as they cost the most time; then the optimiser of the settings; then many pairs.
    """
    free, _, most = place
    allowed = SHARE * free if most is None else room(free, most)
    largest = max(max(shape) for shape in (plan.seen(), *plan.styles))
    sizes = [size for size in ROUND_SIZES if size < largest] + [next(size for size in ROUND_SIZES if size >= largest)]
    rehearsed: dict[bool, Costs] = {}

    def costs_of(method: Chosen) -> Costs:
        if bool(method) not in rehearsed:
            other = dataclasses.replace(plan, config=replace(plan.config, **method))
            rehearsed[bool(method)] = costs._replace(pieces=rehearse_pieces(other, network, build))
        return rehearsed[bool(method)]

    for least, method in itertools.product(LEAST_SIDES, _methods(plan)):
        its = costs_of(method)
        for size in reversed([size for size in sizes if size >= least] or sizes[-1:]):
            chosen = {**method, "piece_size": max(size, SMALLEST_PIECE)}
            other = dataclasses.replace(plan, config=replace(plan.config, **chosen))
            if peak_bytes(other, its) <= allowed:
                return dataclasses.replace(predict(other, its, *place), chosen=chosen)
    return dataclasses.replace(predict(other, its, *place), chosen=chosen)


def _methods(plan: Plan) -> Iterator[Chosen]:
    """The optimiser of the settings; and instead of L-BFGS our own in single precision, with ever fewer pairs."""
    yield {}
    config = plan.config
    if config.optimizer.startswith("lbfgs") and not config.bounds:
        most, fewest = (PAIRS, FEWEST_PAIRS) if config.lbfgs_pairs is None else (config.lbfgs_pairs, config.lbfgs_pairs)
        for pairs in range(most, fewest - 1, -1):
            yield {"optimizer": "lbfgs-own", "lbfgs_pairs": pairs}
