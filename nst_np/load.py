"""Which network a run uses: `load_network`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from nst_np.backend import make_backend
from nst_np.config import Config, replace
from nst_np.errors import InputError
from nst_np.network import FeatureNetwork
from nst_np.presets import preset
from nst_np.registry import NETWORKS

Say = Callable[[str], None]


def log(line: str) -> None:
    """Say a line where nobody has said who listens: to the logger ``nst_np``, at the level of information."""
    logging.getLogger("nst_np").info(line)


def load_network(architecture: str = Config.network, weights: str | Path = Config.weights, *,
                 weights_format: str = Config.weights_format, pooling: str = Config.pooling,
                 pooling_scale: float = Config.pooling_scale, padding: str = Config.padding,
                 device: str = Config.device, dtype: str = Config.dtype, threads: int | None = Config.threads,
                 taps: Iterable[str] | None = None, progress: bool = False, say: Say = log) -> FeatureNetwork:
    """A feature network, ready to use.

    Parameters
    ----------
    architecture : ``"vgg19"``, ``"vgg16"``, ``"wavelet"``, or ``"auto"``: VGG19 if its exact weights are on this
        machine, else VGG16, or the VGG of the file that `weights` names.
    weights : for a VGG: a file, a folder that has one, ``"exact"``, ``"compact"``, ``"random"``, ``"random:SEED"`` or
        ``"auto"`` (`nst_np.weights.load_weights`). Only ``"vgg19"``, and ``"vgg16"`` with ``"exact"``, are downloaded.
    weights_format : ``"torchvision"``, ``"caffe"`` or ``"auto"``: what a PyTorch file expects
        (`nst_np.weights.read_weights`).
    pooling, pooling_scale, padding : for a VGG: ``"average"``, ``"max"`` or ``"l2"``; a factor of what comes out of it;
        and ``"zeros"`` or ``"replicate"``, what the first convolution sees beyond the edges.
    device : ``"auto"``, ``"cpu"``, ``"gpu"`` or ``"gpu:N"``.
    dtype : ``"float32"`` or ``"float64"``.
    threads : CPU threads; by default NST_NP_THREADS or all cores.
    taps : the layers that will be tapped, if it is known: a VGG keeps no weights beyond the deepest of them.
    progress : show a download's progress.
    say : called with lines for people: what was chosen and how to get what is better. By default they are logged.

    Raises
    ------
    InputError
        If what is named does not exist or does not fit together.
    """
    if architecture not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {architecture!r}")
    backend = make_backend(device, dtype, threads=threads, say=say)
    return NETWORKS[architecture]().load(architecture, backend, weights, weights_format, taps=taps, progress=progress,
                                         say=say, pooling=pooling, pooling_scale=pooling_scale, padding=padding)


def settled(wanted: Config, network: FeatureNetwork) -> Config:
    """`wanted` with what ``"auto"`` turned out to be: the same network is loaded again, even after a download."""
    compact = wanted.weights == "auto" and network.is_compact
    return replace(wanted, network=network.name, weights="compact" if compact else wanted.weights)


def other_network(name: str | None, config: Config) -> str | None:
    """A line on the network that a preset's system has, where ``"auto"`` turns out to be another one."""
    from nst_np.weights import find_weights

    own = "" if name is None else preset(name).architecture
    if not own or config.network != "auto" or config.weights != "auto" or find_weights(own).found is not None:
        return None
    return f"preset {name} was made for {own.upper()}; --network {own} downloads and uses it"


def check_layers(config: Config) -> None:
    """Raise an `InputError` that lists the valid names if a layer does not exist, before weights are looked for.

    With ``"auto"`` it may be a layer of either VGG.
    """
    valid = NETWORKS[config.network]().layers_of(config.network)
    for layer in {**(config.content_layers or {}), **(config.style_layers or {})}:
        if layer not in valid:
            raise InputError(f"{config.network} has no layer {layer!r}; valid: {', '.join(valid)}")
