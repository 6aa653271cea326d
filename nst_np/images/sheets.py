"""A contact sheet: pictures in rows and columns, with a title and labels, as one picture."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nst_np.images.resizing import resize_image

Pixels = npt.NDArray[Any]
Cell = Pixels | str  # a picture (H, W, 3), 0–255, or what to say where there is none
Box = tuple[int, int, int, int]  # left, top, width, height, in pixels

MOST = 6000  # pixels that the pictures may take along a side of the sheet, before they are all reduced
LEAST_CELL = (112, 72)  # width and height in which labels and messages can still be read
GAP = 10
MARGIN = 20

_TEXT_SIZES = (14, 26)  # smallest and largest, in pixels; between them, a share of a cell's width
_TEXT_SHARE = 1 / 15
_TITLE_SCALE = 1.35
_ROW_LABEL_SHARE = 0.6  # of a cell's width, at most, before the text goes on in the next line
_BACKGROUND, _INK, _EMPTY, _FAINT = (255, 255, 255), (32, 32, 32), (240, 240, 240), (120, 120, 120)
_SPELLED = {"α": "alpha", "β": "beta", "·": "-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "→": "to"}


def contact_sheet(title: str, rows: Sequence[str], columns: Sequence[str],
                  cells: Mapping[tuple[int, int], Cell]) -> npt.NDArray[np.uint8]:
    """Lay pictures out under their labels.

    Cells are of equal size, that of the largest picture. Every picture keeps its pixels, unless the sheet would be
    larger than about `MOST` pixels a side: then all are reduced alike.

    Parameters
    ----------
    title
        Stands above everything.
    rows, columns
        A label for each, which may be empty.
    cells
        ``{(row, column): picture or message}``; a cell that is not there stays blank.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.
    """
    layout = arrange(title, rows, columns, cells)
    sheet = Image.new("RGB", (layout.width, layout.height), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    layout.title.draw(pen, MARGIN, MARGIN)
    for column, label in enumerate(layout.columns):
        left, top, width, _ = layout.cell(0, column)
        label.draw(pen, left + (width - label.width) // 2, top - GAP - label.height)
    for row, label in enumerate(layout.rows):
        left, top, _, height = layout.cell(row, 0)
        label.draw(pen, left - GAP - label.width, top + (height - label.height) // 2)
    for position, cell in cells.items():
        if isinstance(cell, str):
            _draw_message(pen, cell, layout.cell(*position), layout.text_size)
        else:
            left, top, width, height = layout.picture(*position, cell.shape)
            sheet.paste(_as_image(cell, height, width), (left, top))
    return np.asarray(sheet)


@dataclass(frozen=True)
class Layout:
    """Where everything on a sheet is.

    Attributes
    ----------
    title, rows, columns : the labels, in lines that fit.
    cell_size : width and height of a cell, pixels.
    scale : by which pictures are reduced, 1 or less.
    """

    title: Text
    rows: Sequence[Text]
    columns: Sequence[Text]
    cell_size: tuple[int, int]
    scale: float

    @property
    def text_size(self) -> int:
        """The size of the labels' font, pixels."""
        return _text_size(self.cell_size[0])

    @property
    def _origin(self) -> tuple[int, int]:
        """Left and top of the first cell."""
        beside = max((label.width for label in self.rows), default=0)
        above = max((label.height for label in self.columns), default=0)
        left = MARGIN + (beside + GAP if beside else 0)
        top = MARGIN + (self.title.height + MARGIN if self.title.height else 0)
        return left, top + (above + GAP if above else 0)

    @property
    def width(self) -> int:
        """Of the sheet, in pixels."""
        cells = self._origin[0] + len(self.columns) * (self.cell_size[0] + GAP) - GAP
        return max(cells, MARGIN + self.title.width) + MARGIN

    @property
    def height(self) -> int:
        """Of the sheet, in pixels."""
        return self._origin[1] + len(self.rows) * (self.cell_size[1] + GAP) - GAP + MARGIN

    def cell(self, row: int, column: int) -> Box:
        """The box of a cell."""
        (left, top), (width, height) = self._origin, self.cell_size
        return left + column * (width + GAP), top + row * (height + GAP), width, height

    def picture(self, row: int, column: int, shape: tuple[int, ...]) -> Box:
        """The box of a picture of `shape` in the middle of its cell."""
        left, top, cell_width, cell_height = self.cell(row, column)
        height, width = (max(1, int(side * self.scale)) for side in shape[:2])
        return left + (cell_width - width) // 2, top + (cell_height - height) // 2, width, height


def arrange(title: str, rows: Sequence[str], columns: Sequence[str],
            cells: Mapping[tuple[int, int], Cell]) -> Layout:
    """The layout of `contact_sheet` with the same arguments."""
    shapes = [cell.shape for cell in cells.values() if not isinstance(cell, str)]
    width = max((shape[1] for shape in shapes), default=0)
    height = max((shape[0] for shape in shapes), default=0)
    scale = min(1.0, MOST / max(width * len(columns), height * len(rows), 1))
    cell_size = max(int(width * scale), LEAST_CELL[0]), max(int(height * scale), LEAST_CELL[1])
    size = _text_size(cell_size[0])
    return Layout(
        title=wrapped(title, len(columns) * (cell_size[0] + GAP), round(size * _TITLE_SCALE)),
        rows=[wrapped(label, max(int(cell_size[0] * _ROW_LABEL_SHARE), LEAST_CELL[0]), size) for label in rows],
        columns=[wrapped(label, cell_size[0], size) for label in columns],
        cell_size=cell_size, scale=scale,
    )


def _text_size(cell_width: int) -> int:
    smallest, largest = _TEXT_SIZES
    return min(max(round(cell_width * _TEXT_SHARE), smallest), largest)


def _draw_message(pen: ImageDraw.ImageDraw, message: str, box: Box, size: int) -> None:
    """A message in the middle of an empty cell, as much of it as fits."""
    left, top, width, height = box
    pen.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
    text = wrapped(message, width - 2 * GAP, size)
    fitting = max(1, (height - GAP) // text.line_height)
    text = Text(text.lines[:fitting], size)
    text.draw(pen, left + (width - text.width) // 2, top + (height - text.height) // 2, _FAINT)


def _as_image(pixels: Pixels, height: int, width: int) -> Image.Image:
    if pixels.shape[:2] != (height, width):
        pixels = resize_image(pixels, height, width)
    return Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))


# --- text -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """Centred lines of one size."""

    lines: Sequence[str]
    size: int

    @property
    def line_height(self) -> int:
        """From one line to the next, pixels."""
        return round(self.size * 1.3)

    @property
    def width(self) -> int:
        """Of the longest line, pixels."""
        return max((_length(line, self.size) for line in self.lines), default=0)

    @property
    def height(self) -> int:
        """Of all lines, pixels."""
        return len(self.lines) * self.line_height

    def draw(self, pen: ImageDraw.ImageDraw, left: int, top: int, ink: tuple[int, int, int] = _INK) -> None:
        """Write the lines into the box whose corner is given."""
        for number, line in enumerate(self.lines):
            indent = (self.width - _length(line, self.size)) // 2
            pen.text((left + indent, top + number * self.line_height), line, font=_font(self.size), fill=ink)


def wrapped(text: str, width: int, size: int) -> Text:
    """Break a text into lines of at most `width` pixels: at blanks, and inside of a word that is wider by itself."""
    lines: list[str] = []
    line = ""
    for word in drawable(text).split():
        joined = f"{line} {word}" if line else word
        if _length(joined, size) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while _length(line, size) > width and len(line) > 1:
            fitting = max(1, next(n for n in range(len(line), -1, -1) if _length(line[:n], size) <= width))
            lines.append(line[:fitting])
            line = line[fitting:]
    return Text([*lines, line] if line else lines, size)


def drawable(text: str) -> str:
    """`text` in characters that the font has: ``α`` is spelled ``alpha`` where there is no other font than Pillow's."""
    return "".join(character if _is_drawn(character) else _spelled(character) for character in text)


def _spelled(character: str) -> str:
    if character in _SPELLED:
        return _SPELLED[character]
    return "".join(filter(_is_drawn, unicodedata.normalize("NFKD", character))) or "?"


@functools.cache
def _is_drawn(character: str) -> bool:
    return character.isspace() or _glyph(character) != _glyph("\uffff")  # which is no character, in any font


def _glyph(character: str) -> bytes:
    picture = Image.new("L", (40, 40))
    ImageDraw.Draw(picture).text((8, 8), character, font=_font(16), fill=255)
    return picture.tobytes()


def _length(text: str, size: int) -> int:
    return int(np.ceil(_font(size).getlength(text)))


@functools.cache
def _font(size: int) -> Any:
    """DejaVu Sans, which has Greek letters, if the system has it; else the font that comes with Pillow."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
