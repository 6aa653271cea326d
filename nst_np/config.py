"""Every setting of a run: its default, its group and its help text, each written once, here.

The command line's options, the sections of a config file and the settings stored in an output picture are all made
from the fields of `Config`. The library's `stylize` takes the same names as keywords.
"""

from __future__ import annotations

import configparser
import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nst_np.errors import InputError
from nst_np.registry import CONTENT_LOSSES, NETWORKS, STYLE_LOSSES
from nst_np.values import Files, Layers, Shares, a, bytes_of, plain

POOLINGS = ("average", "max", "l2")
PADDINGS = ("zeros", "replicate")
COLOR_SPACES = ("oklab", "lab", "yuv", "rgb")
BITS = (8, 16)
FITS = ("longer", "shorter", "square")
BLENDS = ("grams", "losses")
NORMALIZATIONS = ("relative", "published", "mean")
TV_NORMALIZATIONS = (*NORMALIZATIONS, "nine-point")
PARAMETRIZATIONS = ("pixels", "laplacian")
OPTIMIZERS = ("lbfgs", "lbfgs-own", "adam", "rmsprop", "momentum")
GUIDES = ("simple", "inside")
DTYPES = ("float32", "float64")
WEIGHTS_FORMATS = ("auto", "torchvision", "caffe")
NO_IMAGE = "none"
ARRAY = "array"  # what `init` and `colors` say of an image that was given in memory, and which they cannot hold
CHECKPOINT_EVERY = 10  # minutes
LONG = 600  # seconds that a run is foretold to take, from which on the command keeps a checkpoint unasked
WRITES = ("output", "quality", "bits", "save_every", "history", "report")  # what is written, and how: only a command does

#: What settings that name a file can say instead; `weights` also "random:SEED".
WORDS = {
    "content": (NO_IMAGE,),
    "content_regions": (),
    "keep": (),
    "strength": (),
    "colors": ("style", "recolored", "photo", "luminance", "chroma"),
    "init": ("content", "grey", "noise", "style", "mix"),
    "weights": ("auto", "exact", "compact", "random"),
}


def _option(default: Any, section: str, text: str, *, choices: Collection[Any] = (), metavar: str = "",
            minimum: float | None = None, above: float | None = None, maximum: float | None = None) -> Any:
    """A field of `Config` with what the command line and the config file need to know of it."""
    return dataclasses.field(default=default, metadata={
        "section": section, "help": text, "choices": choices, "metavar": metavar,
        "minimum": minimum, "above": above, "maximum": maximum,
    })


@dataclass(frozen=True)
class Config:
    """The settings of one run. `None` means "chosen for you", as the help text says.

    Paths and NumPy's numbers are taken too, and kept as plain `str`, `int` and `float`; one style image as a tuple of one.

    Raises
    ------
    InputError
        If a value is out of its range or not one of its choices.
    """

    # fmt: off
    content: str | None = _option(None, "images", "the photograph whose scene is kept; 'none' for a texture of the style alone", metavar="FILE")
    style: Files | None = _option(None, "images", "the painting whose colours and strokes are taken, or several of them; 'none' to reconstruct the content alone", metavar="FILE")
    style_blend: Shares | None = _option(None, "images", "shares of several style images (default: equal)", metavar="X,…")
    colors: str = _option("style", "images", "whose colours the picture has: 'style', the painting's, as the losses find them; 'recolored', the painting's, to which the picture is moved after the run; 'photo', the photograph's, to which the painting is moved before the run; 'luminance', the photograph's, laid over painted lightness; 'chroma', the same after a run in colour; or those of a file", metavar="WHAT")
    color_space: str = _option("oklab", "images", "where colours are compared and exchanged", choices=COLOR_SPACES)
    output: str | None = _option(None, "images", "the picture to write: .png, .jpg, .tif or .webp", metavar="FILE")
    size: int = _option(512, "images", "longer side of the picture, pixels (see fit)", metavar="N", minimum=16, maximum=20000)
    fit: str = _option("longer", "images", "what 'size' is: the longer side, the shorter side, or that of the square in the middle, to which images are cut", choices=FITS)
    style_size: int | None = _option(None, "images", "'size' of the style image, pixels (default: that of the picture)", metavar="N", minimum=16, maximum=20000)
    style_scale: float = _option(1.0, "images", "size of the style image relative to the picture: below 1 for finer strokes", metavar="X", above=0, maximum=16)
    quality: int = _option(95, "images", "quality of JPEG and WebP output", metavar="N", minimum=1, maximum=100)
    bits: int = _option(8, "images", "of each colour in PNG and TIFF output", metavar="N", choices=BITS)

    content_regions: str | None = _option(None, "regions", "map of the content image in flat colours, of which each is painted in the style that the same colour has in style_regions; or in grey, white where there is to be style (docs/regions.md)", metavar="MAP")
    style_regions: Files | None = _option(None, "regions", "map of each style image, likewise", metavar="MAP")
    guides: str = _option("simple", "regions", "which of a layer's positions are in a region: 'simple', as much as the pixels at their place; 'inside', those that see nothing else", choices=GUIDES)
    keep: str | None = _option(None, "regions", "mask of what stays the photograph's: white is kept, grey mixed, black painted", metavar="MASK")
    strength: str | None = _option(None, "regions", "mask of the content weight: white is all of it, black none", metavar="MASK")

    network: str = _option("auto", "network", "where features come from; 'auto' is vgg19 if its exact weights are on this machine, else vgg16, or what the file of 'weights' holds; 'wavelet' is the quick one", choices=NETWORKS)
    weights: str = _option("auto", "network", "VGG weights: a file; 'exact': found on this machine, else downloaded; 'compact': the vgg16 that comes with nst_np; 'auto': exact if found, else compact (vgg19: downloaded); 'random[:SEED]'", metavar="FILE")
    weights_format: str = _option("auto", "network", "what a PyTorch file of weights (.pth, .safetensors) was trained for: 'torchvision' (RGB, 0–1, normalised), 'caffe' (BGR, 0–255 minus the mean) or 'auto', which tells by the file", choices=WEIGHTS_FORMATS)
    pooling: str = _option("average", "network", "VGG's pooling; 'l2' is the root of the mean square", choices=POOLINGS)
    pooling_scale: float = _option(1.0, "network", "what comes out of every pooling is multiplied by this; 2 for average and 1.56 for l2 make it about as large as max", metavar="X", above=0, maximum=100)
    padding: str = _option("zeros", "network", "what VGG's first convolution sees beyond the edges: 'zeros', or 'replicate', copies of the edge pixels; all others see zeros", choices=PADDINGS)

    content_layers: Layers | None = _option(None, "objective", "layers and weights of the content loss (default: relu4_2, or two middle scales)", metavar="NAME[=W],…")
    style_layers: Layers | None = _option(None, "objective", "layers and weights of the style loss (default: relu1_1 … relu5_1 as 256 : 64 : 16 : 4 : 1, or all scales equally)", metavar="NAME[=W],…")
    content_weight: float = _option(0.005, "objective", "α, the weight of the content loss", metavar="X", minimum=0)
    style_weight: float = _option(1.0, "objective", "β, the weight of the style loss", metavar="X", minimum=0)
    tv_weight: float = _option(0.05, "objective", "weight of the total variation", metavar="X", minimum=0)
    normalization: str = _option("relative", "objective", "'relative': weights mean the same at every size; 'published': the paper's formulas; 'mean': mean squares, as in several programs", choices=NORMALIZATIONS)
    tv_normalization: str = _option("relative", "objective", "that of the total variation alone; 'nine-point' has diagonal neighbours as well", choices=TV_NORMALIZATIONS)
    content_loss: Layers | None = _option(None, "objective", "kinds of content loss and their weights (default: features)", choices=CONTENT_LOSSES, metavar="NAME[=W],…")
    style_loss: Layers | None = _option(None, "objective", "kinds of style loss and their weights; docs/losses.md shows them (default: gram)", choices=STYLE_LOSSES, metavar="NAME[=W],…")
    final_style_loss: Layers | None = _option(None, "objective", "kinds of style loss and their weights for a final pass at the picture's own size, with as many iterations as before it; nearest-by-layer paints crisp strokes (default: no such pass)", choices=STYLE_LOSSES, metavar="NAME[=W],…")
    final_content_weight: float | None = _option(None, "objective", "content weight of the final pass (default: that of all sizes)", metavar="X", minimum=0)
    blend_by: str = _option("grams", "objective", "several styles: one loss on the weighted sum of their Gram matrices, or the weighted sum of a loss for each", choices=BLENDS)
    center_content: bool = _option(True, "objective", "take each channel's mean out of the relative content loss, which leaves the colours to the style")

    optimizer: str = _option("lbfgs", "optimizer", "what moves the pixels: 'lbfgs' is SciPy's L-BFGS-B, or our own L-BFGS on a GPU; 'lbfgs-own' is our own everywhere", choices=OPTIMIZERS)
    iterations: int = _option(50, "optimizer", "steps of the optimiser at each size (see coarse_to_fine)", metavar="N", minimum=1)
    first_iterations: int | None = _option(None, "optimizer", "steps at the first size (default: as at each)", metavar="N", minimum=1)
    iterations_decay: float | None = _option(None, "optimizer", "steps at each further size are first_iterations divided by this once more, but at least 'iterations' (default: 'iterations' at once)", metavar="X", minimum=1, maximum=1000)
    stop_after: int | None = _option(None, "optimizer", "end after N iterations in all, at whatever size that is (default: none)", metavar="N", minimum=1)
    learning_rate: float | None = _option(None, "optimizer", "step size of adam, rmsprop and momentum, length of the first step of the others, in pixel values (default: one for each)", metavar="X", above=0)
    redraw: int | None = _option(None, "optimizer", "iterations after which losses that look at random places draw others, and patches are matched again (default: 10 with L-BFGS, which starts again there, else 1)", metavar="N", minimum=1)
    lbfgs_pairs: int | None = _option(None, "optimizer", "steps and changes of the gradient that L-BFGS remembers (default: 10, or as many as fit into 'memory')", metavar="N", minimum=1, maximum=100)
    adam_beta2: float | None = _option(None, "optimizer", "decay of adam's mean square of gradients (default: 0.999)", metavar="X", above=0, maximum=0.999999)
    carry_moments: bool = _option(False, "optimizer", "adam begins each size with the moments of the one before, enlarged, instead of none")
    average: float | None = _option(None, "optimizer", "the picture is the moving average of the iterates at its size, of this decay: 0.99 is about the last hundred (default: the iterate with the smallest loss)", metavar="X", above=0, maximum=0.9999)
    parametrization: str = _option("pixels", "optimizer", "what is optimised: 'pixels', or the coefficients of their 'laplacian' pyramid, by which a step can move large areas", choices=PARAMETRIZATIONS)
    final_parametrization: str | None = _option(None, "optimizer", "the same of the final pass; 'laplacian' paints smooth strokes there (default: that of all sizes)", choices=PARAMETRIZATIONS)
    bounds: bool = _option(False, "optimizer", "keep pixels within 0–255 all the time, not only in the output")

    init: str = _option("content", "start", "initial image: 'content', 'grey', 'noise' (grey, with noise), 'style', 'mix' (of content and noise) or a file; noise where there is no content", metavar="WHAT")
    noise_ratio: float = _option(0.6, "start", "share of noise in the initial image 'mix'", metavar="X", minimum=0, maximum=1)
    noise_strength: float = _option(5.0, "start", "standard deviation of the noise, in pixel values of 0–255; more leaves grain", metavar="X", minimum=0, maximum=255)
    coarse_to_fine: int | None = _option(None, "start", "number of sizes to work at, each about 'growth' times the one before (default: all from 'smallest_size' up)", metavar="N", minimum=1, maximum=64)
    growth: float = _option(2.0, "start", "about how many times as large as the one before each size is", metavar="X", minimum=1.1, maximum=16)
    smallest_size: int | None = _option(None, "start", "shorter side of the smallest size to work at, pixels (default: 48)", metavar="N", minimum=16, maximum=20000)
    margin: int = _option(16, "start", "pixels painted beyond every edge and cut off, so that no frame appears; at most an eighth of the picture at each size", metavar="N", minimum=0, maximum=1000)
    tileable: bool = _option(False, "start", "let the picture's edges meet, so that copies of it fit side by side; the light of a photograph is shifted for that")
    seed: int = _option(0, "start", "of the noise; the same seed gives the same picture", metavar="N", minimum=0, maximum=2**32 - 1)

    save_every: int = _option(0, "files", "write a frame every N iterations, beside the output (0: none); as often into the report", metavar="N", minimum=0)
    history: str | None = _option(None, "files", "write every iteration's losses to this CSV file", metavar="FILE")
    report: str | None = _option(None, "files", "write a report to this folder: a page with all frames and curves, plots, an animation", metavar="FOLDER")
    settings: bool = _option(True, "files", "keep these settings in the picture, with the command line; --no-settings leaves them out")

    device: str = _option("auto", "machine", "'auto', 'cpu' or 'gpu[:N]'", metavar="NAME")
    dtype: str = _option("float32", "machine", "precision of the network", choices=DTYPES)
    memory: str | None = _option(None, "machine", "what a run may take, as in 4GB or 500MB: pieces, optimizer and pairs are chosen for that (default: nine tenths of what is free in one piece, else three quarters; docs/large.md)", metavar="SIZE")
    piece_size: int | None = _option(None, "machine", "longest side of the pieces that a picture is worked on in, pixels (default: the whole picture, or as large as fits into 'memory')", metavar="N", minimum=64, maximum=20000)
    scheduler: str | None = _option(None, "machine", "let the workers of a Dask scheduler share out the pieces of pictures from 512² pixels on: 'tcp://HOST:PORT', or 'local:N' for N processes of this machine; of experiments it does whole runs (docs/cluster.md)", metavar="ADDRESS")
    threads: int | None = _option(None, "machine", "CPU threads (default: NST_NP_THREADS, or all cores)", metavar="N", minimum=1, maximum=1024)
    # fmt: on

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field.name, getattr(self, field.name)))
        if self.content_weight == self.style_weight == 0 and self.tv_weight in (0, Config.tv_weight):
            raise InputError("content_weight and style_weight are both 0: nothing to minimise")
        if self.bounds and self.optimizer == "lbfgs-own":
            raise InputError("optimizer 'lbfgs-own' cannot keep pixels within bounds; all others can")
        for name in ("parametrization", "final_parametrization"):
            if self.bounds and getattr(self, name) == "laplacian":
                raise InputError(f"{name} 'laplacian' cannot keep pixels within bounds; 'pixels' can")
            if self.tileable and getattr(self, name) == "laplacian":
                raise InputError(f"{name} 'laplacian' has edges, and a tileable picture has none; 'pixels' has none")
        if self.keep is not None and self.content == NO_IMAGE:
            raise InputError(f"keep is {self.keep!r}, but there is no content image to keep anything of")
        if self.keep is not None and self.tileable:
            raise InputError("tileable shifts a photograph's light, so that nothing of it can be kept; expected no keep")
        if self.piece_size is not None and self.tileable:
            raise InputError("a tileable picture cannot be worked on in pieces, which would have edges; expected no "
                             "piece_size")
        self._check_scheduler()
        if self.memory is not None:
            bytes_of("memory", self.memory)
        self._check_styles()

    def _check_scheduler(self) -> None:
        """It is of a form that can be connected to, and pictures can be cut."""
        kind, colon, rest = (self.scheduler or "tcp://").partition(":")
        if not (colon and (rest.isdecimal() and int(rest) if kind == "local" else rest.startswith("//"))):
            raise InputError(f"scheduler must be tcp://HOST:PORT or local:N, with at least one process, not "
                             f"{self.scheduler!r}")
        if self.scheduler is not None and self.tileable:
            raise InputError("a tileable picture cannot be worked on in pieces, which would have edges; expected no "
                             "scheduler")
        if self.scheduler is not None and self.device.startswith("gpu"):
            raise InputError(f"scheduler has workers that compute on CPUs; expected device 'cpu', not {self.device!r}")

    def _check_styles(self) -> None:
        """Shares are as many as style images, if those are known here, and not all of them 0."""
        if self.style is not None and NO_IMAGE in self.style and len(self.style) > 1:
            raise InputError(f"style is {NO_IMAGE!r} and a file as well, {format_option(self.style)}")
        if self.style_regions is not None and self.style is not None and len(self.style_regions) != len(self.styles):
            maps, styles = len(self.style_regions), len(self.styles)
            raise InputError(f"style_regions has {maps} map{'s' * (maps != 1)} for {styles} style "
                             f"image{'s' * (styles != 1)}; expected one for each")
        if self.style_blend is None:
            return
        if any(share < 0 for share in self.style_blend) or not 0 < sum(self.style_blend) < math.inf:
            raise InputError("style_blend must hold shares of at least 0 with a finite sum above 0, not "
                             + format_option(self.style_blend))
        if self.style is not None:
            check_shares(self.style_blend, len(self.style))

    @property
    def most_content(self) -> float:
        """The larger content weight of two, if there is a final pass."""
        return max(self.content_weight, self.final_content_weight or 0) if self.final_style_loss else self.content_weight

    @property
    def style_losses(self) -> Layers:
        """All kinds of style loss that are named, those of the final pass among them."""
        return {**(self.style_loss or {}), **(self.final_style_loss or {})}

    @property
    def styles(self) -> Files:
        """The files of the style images; none if there is none."""
        return () if self.style is None or self.style == (NO_IMAGE,) else self.style

    @property
    def pixel_bounds(self) -> tuple[float, float] | None:
        """The values between which pixels are kept all the time, or None."""
        return (0.0, 255.0) if self.bounds else None


def check_shares(shares: Shares, images: int) -> None:
    """Raise an `InputError` if there are not as many shares as images."""
    if len(shares) != images:
        raise InputError(f"style_blend has {len(shares)} shares for {images} style image{'s' * (images != 1)}")


def replace(config: Config, **changes: Any) -> Config:
    """A copy with some settings changed, checked again."""
    unknown = set(changes) - {field.name for field in dataclasses.fields(Config)}
    if unknown:
        raise InputError(f"unknown setting {sorted(unknown)[0]!r}; valid: {', '.join(option_names())}")
    return dataclasses.replace(config, **changes)


def option_names() -> tuple[str, ...]:
    """The names of all settings, in order."""
    return tuple(field.name for field in dataclasses.fields(Config))


@functools.cache
def option_type(name: str) -> type:
    """The type of a setting's value, None aside: str, int, float, bool, dict (layers), tuple (files) or list (shares)."""
    hint: Any = typing.get_type_hints(Config)[name]
    if isinstance(hint, types.UnionType):
        hint = next(choice for choice in typing.get_args(hint) if choice is not type(None))
    kind: type = {Layers: dict, Files: tuple, Shares: list}.get(hint, hint)
    return kind


def checked(name: str, value: Any) -> Any:
    """`value` as the setting `name` keeps it; an `InputError` if it cannot be one."""
    field = Config.__dataclass_fields__[name]
    if value is None and field.default is None:
        return None
    value = plain(name, option_type(name), value)
    rules = field.metadata
    for text in value if option_type(name) is tuple else (value,):
        if isinstance(text, str) and "\0" in text:
            raise InputError(f"{name} must not hold a null character, as {text!r} does")
    of, words = ("of", value) if isinstance(value, dict) else ("one of", (value,))
    for word in words if rules["choices"] else ():
        if word not in rules["choices"]:
            raise InputError(f"{name} must be {of} {', '.join(map(str, rules['choices']))}, not {word!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} must be finite, not {value}")
    if rules["minimum"] is not None and value < rules["minimum"]:
        raise InputError(f"{name} must be at least {rules['minimum']}, not {value}")
    if rules["above"] is not None and value <= rules["above"]:
        raise InputError(f"{name} must be above {rules['above']}, not {value}")
    if rules["maximum"] is not None and value > rules["maximum"]:
        raise InputError(f"{name} must be at most {rules['maximum']}, not {value}")
    return value


# --- text -------------------------------------------------------------------------------------------------------------


def parse_option(name: str, text: str) -> Any:
    """The value that `text` writes for the setting `name`, not checked yet. Text is taken as it is, blanks and all.

    Layers are written ``relu1_1=0.5, relu2_1``, where a weight that is not given is 1; shares ``0.7, 0.3``; several files
    as a JSON list, ``["a.jpg", "b.jpg"]``. Nothing at all is None.
    """
    kind = option_type(name)
    if text == "":
        if Config.__dataclass_fields__[name].default is None:
            return None
        raise InputError(f"{name} must be {a(kind)}, not empty")
    if kind is str:
        return text
    if kind is bool:
        value = configparser.ConfigParser.BOOLEAN_STATES.get(text.lower())
        if value is None:
            raise InputError(f"{name} must be yes or no, not {text!r}")
        return value
    if kind is dict:
        return _parse_layers(name, text)
    if kind is tuple:
        return _parse_files(text)
    if kind is list:
        return _parse_shares(name, text)
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{name} must be {a(kind)}, not {text!r}") from None


def _parse_shares(name: str, text: str) -> Shares:
    try:
        return tuple(map(float, text.replace(",", " ").split()))
    except ValueError:
        raise InputError(f"{name} must be numbers, as in 0.7,0.3, not {text!r}") from None


def _parse_layers(name: str, text: str) -> dict[str, float]:
    layers: dict[str, float] = {}
    for part in text.replace(",", " ").split():
        layer, equals, weight = part.partition("=")
        try:
            value = float(weight) if equals else 1.0
        except ValueError:
            raise InputError(f"{name}: the weight of {layer} must be a number, not {weight!r}") from None
        if layer in layers:
            raise InputError(f"{name} names {layer} twice")
        layers[layer] = value
    return layers


def _parse_files(text: str) -> Files:
    """A JSON list of files; any other text is one file, whatever its name looks like."""
    try:
        files = json.loads(text) if text.startswith("[") else text
    except (ValueError, RecursionError):
        return (text,)
    return tuple(files) if isinstance(files, list) and files and all(isinstance(file, str) for file in files) else (text,)


def format_option(value: Any) -> str:
    """The text of a value as help and config files show it; numbers to the last bit."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{layer}={weight!r}" for layer, weight in value.items())
    if isinstance(value, tuple):
        return _format_files(value) if isinstance(value[0], str) else ", ".join(map(repr, value))
    return repr(value) if isinstance(value, float) else str(value)


def _format_files(files: Files) -> str:
    """One file as it is, unless it could be taken for several; several as a JSON list."""
    alone = len(files) == 1 and _parse_files(files[0]) == files
    return files[0] if alone else json.dumps(files)
