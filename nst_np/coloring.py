"""What the settings `colors` and `color_space` do to a run: to its images before it, and to its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from nst_np import images
from nst_np.canvas import Pixels
from nst_np.colors import SPACES, GreyLevels, Moments, greys, is_grey, mixed, moments, moved, with_lightness
from nst_np.config import ARRAY, WORDS, Config
from nst_np.errors import InputError


class Coloring:
    """The default: images as they are, and pictures in the colours that they are painted in.

    All pictures are (H, W, 3) float32, 0–255, and stay as they are; what a method returns may be the same array.
    """

    def content(self, pixels: Pixels) -> Pixels:
        """What the content image becomes before the run."""
        return pixels

    def style(self, pixels: Pixels) -> Pixels:
        """What a style image becomes before the run."""
        return pixels

    def initial(self, pixels: Pixels) -> Pixels:
        """What an initial image becomes before the run."""
        return pixels

    def picture(self, painted: Pixels) -> Pixels:
        """The picture that is shown and saved, of any size, from what was painted, whose values may leave 0–255."""
        return painted


class Recoloring(Coloring):
    """Images are as they are, and what was painted is moved to the colours of some pictures."""

    def __init__(self, space: str, palette: Sequence[Pixels], shares: Sequence[float] | None = None) -> None:
        self._space = SPACES[space]
        self._is_grey = all(map(is_grey, palette))
        self._moments = mixed([moments(self._space, each) for each in palette], shares or [1.0] * len(palette))

    def picture(self, painted: Pixels) -> Pixels:
        """It is moved to the palette."""
        picture = moved(self._space, painted, self._moments)
        return greys(picture) if self._is_grey else picture


class PaletteColoring(Recoloring):
    """Both images are moved to a third one's colours, and so is the picture."""

    def content(self, pixels: Pixels) -> Pixels:
        """It is moved to the palette."""
        return moved(self._space, pixels, self._moments)

    style = content


class PhotoColoring(PaletteColoring):
    """Style images are moved to the photograph's colours. If it has none, the picture has none either."""

    def content(self, pixels: Pixels) -> Pixels:
        """It is as it was."""
        return pixels

    def picture(self, painted: Pixels) -> Pixels:
        """It is as it was painted, or that in greys."""
        return greys(painted) if self._is_grey else painted


class ChromaColoring(Coloring):
    """The picture has the lightness that was painted, and the photograph's chroma and hue."""

    def __init__(self, space: str, photo: Pixels) -> None:
        self._space = SPACES[space]
        self._photo, self._is_grey = photo, is_grey(photo)

    def picture(self, painted: Pixels) -> Pixels:
        """It gets the photograph's chroma and hue."""
        if self._is_grey:
            return greys(painted, self._space)
        if self._photo.shape != painted.shape:
            return with_lightness(self._space, images.resize_image(self._photo, *painted.shape[:2]), painted)
        return with_lightness(self._space, self._photo, painted)


class LuminanceColoring(ChromaColoring):
    """Lightness alone is painted (Gatys et al. 2016, *Preserving color in neural artistic style transfer*).

    Images become greys of equal lightness; that of style images has the photograph's mean and standard deviation.
    """

    def __init__(self, space: str, photo: Pixels) -> None:
        super().__init__(space, photo)
        self._moments: Moments = moments(self._space, photo)

    def content(self, pixels: Pixels) -> Pixels:
        """It becomes greys."""
        return greys(pixels, self._space)

    initial = content

    def style(self, pixels: Pixels) -> Pixels:
        """It becomes greys of the photograph's mean and deviation."""
        return greys(pixels, self._space, GreyLevels.between(moments(self._space, pixels), self._moments))


class KeptColoring(Coloring):
    """Another one, but what is kept of the photograph has the colours that it had there.

    Parameters
    ----------
    other : the other one.
    photo : (H, W, 3), as it was.
    keep : (H, W, 1), 0 to 1, how much of each pixel is kept.
    """

    def __init__(self, other: Coloring, photo: Pixels, keep: Pixels) -> None:
        self._other, self._photo, self._keep = other, photo, keep
        self.content, self.style, self.initial = other.content, other.style, other.initial  # type: ignore[method-assign]

    def picture(self, painted: Pixels) -> Pixels:
        """That of the other one, with the photograph where it is kept."""
        photo, keep = self._photo, self._keep
        if photo.shape != painted.shape:
            height, width = painted.shape[:2]
            photo, keep = images.resize_image(photo, height, width), images.interpolate(keep, height, width, "linear")
        picture: Pixels = keep * photo + (1 - keep) * self._other.picture(painted)
        return picture


def coloring_of(config: Config, content: Pixels | None, styles: Sequence[Pixels], palette: Pixels | None = None,
                keep: Pixels | None = None) -> Coloring:
    """What the settings ask for, of a run with those images.

    Parameters
    ----------
    content, styles : (H, W, 3) each.
    palette : one that was given in memory.
    keep : (H, W, 1), how much of the content image is kept; None for nothing.

    Raises
    ------
    InputError
        If there is no image to have colours of, or a space without lightness, or a file that cannot be read.
    """
    coloring = _coloring_of(config, content, styles, palette)
    if keep is None or content is None or config.colors == "style":  # as which what is kept is kept already
        return coloring
    return KeptColoring(coloring, content, keep)


def _coloring_of(config: Config, content: Pixels | None, styles: Sequence[Pixels], palette: Pixels | None) -> Coloring:
    """The same where nothing is kept."""
    colors, space = config.colors, config.color_space
    if colors == "style":
        return Coloring()
    if colors == "recolored":
        if not styles:
            raise InputError("colors is 'recolored', but there is no style image; expected 'style' or a file")
        return Recoloring(space, styles, config.style_blend)
    if colors not in WORDS["colors"]:
        return PaletteColoring(space, [_palette(config) if palette is None else palette])
    if content is None:
        raise InputError(f"colors is {colors!r}, but there is no content image; expected 'style' or a file")
    if colors == "photo":
        return PhotoColoring(space, [content])
    if not SPACES[space].has_lightness:
        raise InputError(f"color_space {space!r} has no lightness, which colors {colors!r} needs; all others have")
    return {"luminance": LuminanceColoring, "chroma": ChromaColoring}[colors](space, content)


def _palette(config: Config) -> Pixels:
    """The picture in the file of `colors`, no larger than the picture, as its colours are all that counts."""
    if config.colors == ARRAY:
        raise InputError(f"colors is {ARRAY!r}, which stands for an image in memory; expected that image itself")
    try:
        return images.load_image(config.colors, size=config.size, name="image of colours").pixels
    except InputError as error:
        words = ", ".join(map(repr, WORDS["colors"]))
        raise InputError(f"colors must be {words} or an image file; {error}") from error
