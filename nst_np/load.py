"""Which network a run uses: `load_network`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from nst_np.backend import Backend, make_backend
from nst_np.config import NETWORKS, Config
from nst_np.errors import DownloadError, InputError
from nst_np.network import FeatureNetwork

Say = Callable[[str], None]


def load_network(architecture: str = Config.network, weights: str | Path = Config.weights, *,
                 pooling: str = Config.pooling, device: str = Config.device, dtype: str = Config.dtype,
                 threads: int | None = Config.threads, taps: Iterable[str] | None = None, progress: bool = False,
                 say: Say = lambda line: None) -> FeatureNetwork:
    """A feature network, ready to use.

    Parameters
    ----------
    architecture : ``"vgg19"``, ``"vgg16"``, ``"wavelet"``, or ``"auto"``: VGG19 if its weights are found or can be
        downloaded (or the VGG of the file that `weights` names), else the built-in wavelet network.
    weights : for a VGG: a file, a folder that has one, ``"random"``, ``"random:SEED"``, or ``"auto"`` to look for them
        and else download them (`nst_np.weights.load_weights`).
    pooling : ``"average"`` or ``"max"``, for a VGG.
    device : ``"auto"``, ``"cpu"``, ``"gpu"`` or ``"gpu:N"``.
    dtype : ``"float32"`` or ``"float64"``.
    threads : CPU threads; by default NST_NP_THREADS or all cores.
    taps : the layers that will be tapped, if it is known: a VGG keeps no weights beyond the deepest of them.
    progress : show a download's progress.
    say : called with lines for people: what was tried and what was chosen instead.

    Raises
    ------
    InputError
        If what is named does not exist or does not fit together. Only ``"auto"`` falls back to anything.
    """
    if architecture not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {architecture!r}")
    backend = make_backend(device, dtype, threads=threads, say=say)
    if architecture == "wavelet":
        if str(weights) != "auto":
            raise InputError(f"network 'wavelet' is computed and takes no weights, but weights is {str(weights)!r}")
        return _wavelet(backend)

    from nst_np.vgg import VGG
    from nst_np.weights import VGGWeights, find_weights, load_weights, read_weights

    loaded: VGGWeights
    named = str(weights).partition(":")[0] not in ("auto", "random")
    try:
        file = find_weights("vgg19", weights).found if architecture == "auto" and named else None
        if file is not None:
            loaded = read_weights(file)  # the file says which VGG it is
        else:
            loaded = load_weights("vgg19" if architecture == "auto" else architecture, weights, progress=progress)
    except DownloadError as error:
        if architecture != "auto":
            raise
        say(f"VGG19's weights are neither here nor to be had: {error}")
        say("using the built-in wavelets; real weights: scripts/fetch_weights.py, --network vgg19, or --weights FILE")
        return _wavelet(backend)
    return VGG(loaded, backend, pooling=pooling, taps=taps)


def check_layers(config: Config) -> None:
    """Raise an `InputError` that lists the valid names if a layer does not exist, before weights are looked for.

    With ``"auto"`` it may be a layer of either network that this can turn out to be.
    """
    from nst_np.vgg import vgg_layers
    from nst_np.wavelet import WAVELET_LAYERS

    valid = {"wavelet": WAVELET_LAYERS, "auto": (*vgg_layers("vgg19"), *WAVELET_LAYERS)}.get(config.network)
    if valid is None:
        valid = vgg_layers(config.network)
    for layer in {**(config.content_layers or {}), **(config.style_layers or {})}:
        if layer not in valid:
            raise InputError(f"{config.network} has no layer {layer!r}; valid: {', '.join(valid)}")


def _wavelet(backend: Backend) -> FeatureNetwork:
    from nst_np.wavelet import WaveletNetwork

    return WaveletNetwork(backend)
