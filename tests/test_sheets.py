"""Contact sheets: where cells are, that pictures keep their pixels, that labels can be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from nst_np.images import resize_image, sheets
from nst_np.images.sheets import GAP, LEAST_CELL, MARGIN, arrange, contact_sheet, drawable, wrapped

RED, GREEN = (np.zeros((120, 160, 3), np.uint8) + np.array(color, np.uint8) for color in ((200, 30, 30), (30, 160, 60)))
NOISE = np.random.default_rng(3).integers(0, 256, (120, 160, 3)).astype(np.uint8)
TALL = np.random.default_rng(4).integers(0, 256, (120, 80, 3)).astype(np.uint8)


def cut(sheet, box):
    left, top, width, height = box
    return sheet[top : top + height, left : left + width]


def ink(sheet, box):
    """How much darker than the paper the darkest pixel of a box is."""
    return 255 - int(cut(sheet, box).min())


def arguments():
    cells = {(0, 0): RED, (0, 1): NOISE, (0, 2): GREEN, (1, 0): TALL, (1, 1): "failed: no room", (1, 2): NOISE[:50]}
    return "Six cells", ["first", "second"], ["a", "b", "c"], cells


def test_pictures_are_in_their_cells_with_their_pixels():
    title, rows, columns, cells = arguments()
    sheet, layout = contact_sheet(title, rows, columns, cells), arrange(title, rows, columns, cells)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (layout.height, layout.width, 3)
    assert (layout.cell_size, layout.scale) == ((160, 120), 1.0)
    for position in ((0, 0), (0, 1), (0, 2)):  # as large as a cell
        np.testing.assert_array_equal(cut(sheet, layout.cell(*position)), cells[position])
    for position in ((1, 0), (1, 2)):  # smaller: in the middle, on white
        box, cell = layout.picture(*position, cells[position].shape), layout.cell(*position)
        np.testing.assert_array_equal(cut(sheet, box), cells[position])
        around = cut(sheet, cell).astype(int).sum() - cells[position].astype(int).sum()
        assert around == 255 * 3 * (160 * 120 - cells[position].shape[0] * cells[position].shape[1])
    left, top, _, _ = layout.cell(1, 0)
    assert layout.picture(1, 0, TALL.shape) == (left + 40, top, 80, 120)


def test_cells_stand_in_a_grid():
    layout = arrange(*arguments())
    left, top, width, height = layout.cell(0, 0)
    assert layout.cell(1, 2) == (left + 2 * (width + GAP), top + height + GAP, width, height)
    assert layout.width == left + 3 * width + 2 * GAP + MARGIN
    assert layout.height == top + 2 * height + GAP + MARGIN


def test_labels_and_messages_are_written():
    title, rows, columns, cells = arguments()
    sheet, layout = contact_sheet(title, rows, columns, cells), arrange(title, rows, columns, cells)
    left, top, width, height = layout.cell(0, 0)
    assert ink(sheet, (MARGIN, MARGIN, layout.title.width, layout.title.height)) > 200
    for column in range(3):
        x = layout.cell(0, column)[0]
        assert ink(sheet, (x + width // 2 - 10, top - GAP - layout.columns[column].height, 20, 20)) > 200
    for row in range(2):
        y = layout.cell(row, 0)[1]
        assert ink(sheet, (left - GAP - layout.rows[row].width, y + height // 2 - 10, layout.rows[row].width, 20)) > 200
        assert ink(sheet, (left - GAP - layout.rows[row].width, y, layout.rows[row].width, 30)) == 0
    message = cut(sheet, layout.cell(1, 1))
    assert tuple(message[0, 0]) == (240, 240, 240)
    assert message.min() < 140
    assert message[:20].min() == 240


def test_without_labels_there_is_no_room_for_them():
    layout = arrange("", [""], [""], {(0, 0): RED})
    assert layout.cell(0, 0) == (MARGIN, MARGIN, 160, 120)
    np.testing.assert_array_equal(cut(contact_sheet("", [""], [""], {(0, 0): RED}), (MARGIN, MARGIN, 160, 120)), RED)


def test_a_cell_that_is_not_there_is_blank():
    sheet, layout = (make("", ["", ""], [""], {(0, 0): RED}) for make in (contact_sheet, arrange))
    assert cut(sheet, layout.cell(1, 0)).min() == 255


def test_small_pictures_have_cells_for_labels():
    layout = arrange("t", ["r"], ["c"], {(0, 0): NOISE[:32, :48]})
    assert layout.cell_size == LEAST_CELL
    sheet = contact_sheet("t", ["r"], ["c"], {(0, 0): NOISE[:32, :48]})
    np.testing.assert_array_equal(cut(sheet, layout.picture(0, 0, (32, 48, 3))), NOISE[:32, :48])


def test_a_sheet_that_would_be_too_large_is_reduced(monkeypatch):
    monkeypatch.setattr(sheets, "MOST", 240)
    cells = {(0, 0): NOISE, (0, 1): RED, (0, 2): TALL}
    layout, sheet = arrange("", [""], ["", "", ""], cells), contact_sheet("", [""], ["", "", ""], cells)
    assert layout.scale == 0.5
    left, top, width, height = layout.picture(0, 0, NOISE.shape)
    assert (width, height) == (80, 60)
    assert layout.picture(0, 2, TALL.shape)[2:] == (40, 60)
    np.testing.assert_array_equal(cut(sheet, (left, top, 80, 60)), np.rint(resize_image(NOISE, 60, 80)))


def test_only_messages():
    layout = arrange("t", ["r"], ["c"], {(0, 0): "not done yet"})
    assert layout.cell_size == LEAST_CELL


@pytest.mark.parametrize("width", [60, 100, 400])
def test_text_is_broken_to_fit(width):
    text = "a fairly long label with anextraordinarilylongwordinthemiddle of it"
    lines = wrapped(text, width, 16).lines
    font = sheets._font(16)
    assert all(font.getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) > 1


def test_text_breaks_at_blanks_where_it_can():
    assert wrapped("one two", 1000, 16).lines == ["one two"]
    assert wrapped("oneoneone twotwotwo", int(sheets._font(16).getlength("oneoneone ")), 16).lines == [
        "oneoneone", "twotwotwo"]
    assert wrapped("", 100, 16).lines == []


def test_a_message_longer_than_its_cell_stays_inside():
    sheet = contact_sheet("", [""], [""], {(0, 0): "word " * 200})
    layout = arrange("", [""], [""], {(0, 0): "word " * 200})
    left, top, width, height = layout.cell(0, 0)
    assert sheet[top + height :].min() == 255
    assert sheet[:, left + width :].min() == 255


def test_characters_that_the_font_lacks_are_spelled(monkeypatch):
    monkeypatch.setattr(sheets, "_font", ImageFont.load_default)
    sheets._is_drawn.cache_clear()
    assert drawable("α/β 1e-3 · 48×32 …") == "alpha/beta 1e-3 · 48x32 …"
    assert drawable("é中") == "e?"
    sheets._is_drawn.cache_clear()


def test_characters_that_the_font_has_are_drawn():
    try:
        ImageFont.truetype("DejaVuSans.ttf", 16)
    except OSError:
        pytest.skip("needs DejaVu Sans")
    assert drawable("α/β · × … é") == "α/β · × … é"


def test_a_label_looks_as_its_text():
    """The words are those that were given, not only some ink."""
    sheet = contact_sheet("Title", [""], [""], {(0, 0): RED})
    layout = arrange("Title", [""], [""], {(0, 0): RED})
    expected = Image.new("RGB", (layout.width, MARGIN + layout.title.height), "white")
    ImageDraw.Draw(expected).text((MARGIN, MARGIN), "Title", font=sheets._font(layout.title.size), fill=(32, 32, 32))
    np.testing.assert_array_equal(sheet[: MARGIN + layout.title.height], np.asarray(expected))
