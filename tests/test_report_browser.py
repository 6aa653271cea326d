"""The pages of reports in a real browser, opened from disk: what is seen, what keys and clicks do, what is loaded."""

from __future__ import annotations

import base64
import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from nst_np import report
from nst_np.config_files import format_config
from nst_np.explain.page import render_page as render_explanation
from nst_np.images import encode_jpeg
from nst_np.report.recording import FRAME_SIDE, MAX_FRAMES, Frame, Recorder
from tests.made_up_reports import HOSTILE, LAYERS, history, make_account, make_explanation, make_gallery

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
COMMAND = f"nst-np 'a\r\n\tb.png' {HOSTILE}"
LONG = "unbroken" * 60
NARROW_AND_WIDE = (400, 1280)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Watch:
    """What a page complains of and asks for."""

    def __init__(self, page) -> None:
        self.page, self.complaints, self.requests = page, [], []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a script ran: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))

    def check(self) -> None:
        """The page has asked for itself, once, and complained of nothing."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)))")
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("data:", "blob:"))] == [self.page.url]


@contextmanager
def opened(browser, folder, html: str, width: int = 1280) -> Iterator:
    """A page in a window, watched from the beginning to the end."""
    (folder / "page.html").write_text(html, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="light")
    try:
        page = context.new_page()
        watch = Watch(page)
        page.goto((folder / "page.html").as_uri())
        page.watch = watch
        yield page
        watch.check()
    finally:
        context.close()


@pytest.fixture(scope="module")
def run_page(browser, tmp_path_factory):
    """The page of a run; every test leaves it as it finds it."""
    html = report.render_page(make_account(command=COMMAND), ["losses.svg"])
    with opened(browser, tmp_path_factory.mktemp("run"), html) as page:
        yield page


@pytest.fixture(scope="module")
def sweep_page(browser, tmp_path_factory):
    """The page of a sweep, likewise."""
    with opened(browser, tmp_path_factory.mktemp("sweep"), report.render_gallery(make_gallery())) as page:
        yield page


@pytest.fixture
def page(run_page):
    run_page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    run_page.keyboard.press("End")
    yield run_page
    run_page.watch.check()


def frame_shown(page) -> bytes:
    """The JPEG file that the slider has chosen."""
    kind, _, data = page.get_attribute("#frame", "src").partition(",")
    assert kind == "data:image/jpeg;base64"
    return base64.b64decode(data)


def readout(page) -> tuple[str, ...]:
    return tuple(page.text_content(f"#frame-{name}") for name in ("iteration", "time", "total"))


def markers(page) -> list[list[float]]:
    """The iterations that the vertical lines in all charts are at."""
    page.evaluate("() => new Promise(requestAnimationFrame)")
    shapes = "[...document.querySelectorAll('.plot')].map((plot) => plot.layout.shapes.map((shape) => shape.x0))"
    return page.evaluate(shapes)


def points(page, chart: str) -> dict[str, tuple[list, list]]:
    """Every curve of a chart as Plotly has it: its x and y."""
    script = f"document.querySelector('#{chart} .plot').data.map((curve) => [curve.name, [...curve.x], [...curve.y]])"
    return {name: (x, y) for name, x, y in page.evaluate(script)}


def wait_until(page, condition: str) -> None:
    """Like `page.wait_for_function`, which a page that forbids `eval` does not allow."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


# --- the frames -------------------------------------------------------------------------------------------------------


def test_page_opens_with_the_last_frame(run_page):
    assert frame_shown(run_page) == make_account().frames[5].jpeg
    assert readout(run_page) == ("10", "2.5 s", "90.909")
    assert markers(run_page) == [[10], [10]]


def test_slider_moves_the_picture(page):
    page.fill("#slider", "2")
    assert frame_shown(page) == make_account().frames[2].jpeg
    assert readout(page) == ("4", "1.0 s", "200")
    assert page.get_attribute("#frame", "alt") == "The picture after iteration 4"
    assert page.get_attribute("#slider", "aria-valuetext") == "iteration 4, 1.0 s, total loss 200"
    assert page.evaluate("document.getElementById('frame').decode().then(() => frame.naturalWidth)") == 36
    assert markers(page) == [[4], [4]]


@pytest.mark.parametrize("focus", [None, "#slider", "#play"])
def test_keys_move_the_picture_with_and_without_focus(page, focus):
    if focus:
        page.focus(focus)
    for key, index in (("ArrowLeft", 4), ("ArrowLeft", 3), ("ArrowRight", 4), ("Home", 0), ("ArrowLeft", 0),
                       ("ArrowRight", 1), ("End", 5), ("ArrowRight", 5)):  # fmt: skip
        page.keyboard.press(key)
        assert frame_shown(page) == make_account().frames[index].jpeg, key
        assert page.input_value("#slider") == str(index)


def test_keys_that_mean_something_else_leave_the_picture(page):
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.focus("#config-text")
    page.keyboard.press("Home")
    page.focus("#split")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    page.keyboard.press("Home")  # the frames are out of sight
    assert readout(page)[0] == "10"


def test_play_runs_through_the_frames_and_stops(page):
    page.evaluate("""() => {
        window.seen = [];
        const watch = new MutationObserver(() => seen.push(document.getElementById("slider").value));
        watch.observe(document.getElementById("frame"), { attributes: true, attributeFilter: ["src"] });
    }""")
    page.click("#play")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.wait_for_selector("#play[aria-label=Play]")
    assert page.evaluate("seen") == ["0", "1", "2", "3", "4", "5"]
    page.click("#play")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#play", "aria-label") == "Play"


# --- the curves -------------------------------------------------------------------------------------------------------


def test_curves_have_every_point(page):
    terms, layers = points(page, "terms"), points(page, "layers")
    assert list(terms) == ["total", "content", "style", "tv"]
    assert list(layers) == list(LAYERS)
    for name, (x, y) in {**terms, **layers}.items():
        assert x == list(range(11))
        assert y == [float(f"{row[name]:.7g}") for row in history(11)]


def test_terms_are_weighted_on_demand(page):
    plain = points(page, "terms")
    page.click("[data-weighted=yes]")
    weighted = points(page, "terms")
    for name, weight in {"total": 1, "content": 0.5, "style": 0.25, "tv": 2}.items():
        assert weighted[name] == (plain[name][0], [y * weight for y in plain[name][1]])
    page.click("[data-weighted=no]")
    assert points(page, "terms") == plain


def test_each_chart_has_its_own_scale(page):
    def scales() -> list[str]:
        return page.evaluate("[...document.querySelectorAll('.plot')].map((plot) => plot.layout.yaxis.type)")

    assert scales() == ["log", "log"]
    page.click("#layers [data-scale=linear]")
    assert scales() == ["log", "linear"]
    assert page.get_attribute("#layers [data-scale=linear]", "aria-pressed") == "true"
    assert page.get_attribute("#layers [data-scale=log]", "aria-pressed") == "false"
    page.click("#layers [data-scale=log]")
    assert scales() == ["log", "log"]


def test_chips_switch_curves_off_and_on(page):
    visible = "document.querySelector('#terms .plot').data.map((curve) => curve.visible ?? true)"
    chips = page.locator("#terms .chips button")
    assert chips.all_text_contents() == ["total", "content", "style", "tv"]
    chips.nth(1).click()
    assert page.evaluate(visible) == [True, False, True, True]
    assert chips.nth(1).get_attribute("aria-pressed") == "false"
    chips.nth(1).click()
    assert page.evaluate(visible) == [True, True, True, True]


def test_hovering_shows_values_and_a_click_chooses_the_frame(page):
    page.locator("#terms .plot").scroll_into_view_if_needed()
    box = page.locator("#terms .plot").bounding_box()
    left = page.evaluate("""() => {
        const axis = document.querySelector("#terms .plot")._fullLayout.xaxis;
        return axis._offset + axis.l2p(5);
    }""")
    page.mouse.move(box["x"] + left, box["y"] + box["height"] / 2)
    page.wait_for_selector("#terms .hoverlayer text")
    hover = " ".join(page.locator("#terms .hoverlayer text").all_text_contents())
    for part in ("iteration 5", "total : 166.67", "content : 35", "style : 333.33", "tv : 3"):
        assert part in hover
    page.mouse.down()
    page.mouse.up()
    wait_until(page, "document.getElementById('frame-iteration').textContent === '4'")


def test_colours_of_the_curves_follow_the_mode(page):
    colour = "document.querySelector('#terms .plot').data[0].line.color"
    assert page.evaluate(colour) == "#1e1d1b"
    page.emulate_media(color_scheme="dark")
    wait_until(page, f"{colour} === '#ecebe8'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 23)"
    page.emulate_media(color_scheme="light")
    wait_until(page, f"{colour} === '#1e1d1b'")


# --- comparing and copying --------------------------------------------------------------------------------------------


def test_comparison_follows_mouse_and_keys(page):
    def split() -> int:
        """Where the divider is, in percent, which is also where the content image is cut off."""
        left, width, clip = page.evaluate("""() => {
            const [box, line] = ["compare", "divider"].map((name) => document.querySelector(`.${name}`));
            const [outer, inner] = [box.getBoundingClientRect(), line.getBoundingClientRect()];
            const clip = getComputedStyle(document.getElementById("before")).clipPath;
            return [inner.left + inner.width / 2 - outer.left, outer.width, clip];
        }""")
        assert float(clip.split()[1].rstrip("%")) == pytest.approx(100 - 100 * left / width, abs=0.3)
        return round(100 * left / width)

    page.locator("#compare").scroll_into_view_if_needed()
    assert page.get_attribute("#before", "src") == page.get_attribute("#content", "src")
    assert page.get_attribute("#after", "src") == page.get_attribute("#result", "src")
    assert split() == 50
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50)
    page.mouse.down()
    assert split() == 20
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 90)
    assert split() == 70
    page.mouse.move(box["x"] + box["width"] + 10, box["y"] + 90)
    assert split() == 100
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 90)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 90)
    assert split() == 30
    page.keyboard.press("ArrowRight")  # the mouse has given it the focus
    assert split() == 31
    page.keyboard.press("Home")
    assert split() == 0
    page.fill("#split", "50")


@pytest.mark.parametrize("has_clipboard", [True, False])
def test_copy_buttons_copy_exactly(page, has_clipboard):
    page.evaluate(
        """(allowed) => {
            window.copied = [];
            navigator.clipboard.writeText = async (text) => {
                if (!allowed) throw new Error("not allowed");
                copied.push(text);
            };
            document.oncopy = () => copied.push(document.activeElement.value);
        }""",
        has_clipboard,
    )
    for name in ("command", "config"):
        page.click(f"[data-copy={name}]")
        page.wait_for_selector(f"[data-copy={name}]:has-text('Copied')")
    command = COMMAND if has_clipboard else COMMAND.replace("\r\n", "\n")  # a text area has line feeds only
    assert page.evaluate("copied") == [command, format_config(make_account().result.settings)]


# --- other runs, other windows ----------------------------------------------------------------------------------------


def test_pages_with_hostile_and_long_texts_run_nothing_and_fit(browser, tmp_path):
    text = HOSTILE + LONG
    rows = [{**row, f"style {text}": 1.0} for row in history(3)]
    account = make_account(title=text, command=text, network=text, message=text, checksum=text, history=rows)
    cells = [dataclasses.replace(cell, label=text, message=text) for cell in make_gallery().cells]
    gallery = report.Gallery(text, text, [text] * 2, [text] * 3, cells, text)
    for html, chart in ((report.render_page(account), "layers"), (report.render_gallery(gallery), "totals")):
        with opened(browser, tmp_path, html, 400) as page:
            assert page.text_content("h1") == text
            assert page.locator(f"#{chart} .chips button").last.text_content().endswith(text)
            page.locator(f"#{chart} .plot").hover()
            page.wait_for_selector(f"#{chart} .hoverlayer text")
            for width in NARROW_AND_WIDE:
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_an_explanation_fits_into_every_window_and_shows_its_pictures(browser, tmp_path):
    explanation = dataclasses.replace(make_explanation(), network=HOSTILE + LONG)
    with opened(browser, tmp_path, render_explanation(explanation)) as page:
        for width in (320, *NARROW_AND_WIDE, 2000):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width
            sizes = page.evaluate("[...document.images].map((image) => [image.width, image.naturalWidth])")
            assert all(width >= 80 and natural for width, natural in sizes)
        page.emulate_media(color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 23)"


@pytest.mark.parametrize("name", ["run_page", "sweep_page"])
def test_pages_fit_into_every_window(request, name):
    page = request.getfixturevalue(name)
    try:
        for width in (320, *NARROW_AND_WIDE, 2000):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 150))")
            assert page.evaluate("document.scrollingElement.scrollWidth") <= width
            for plot in page.locator(".plot").all():
                drawn = plot.locator(".main-svg").first.bounding_box()["width"]
                assert drawn == pytest.approx(plot.bounding_box()["width"], abs=1)
                assert min(0.5 * width, 500) <= drawn <= width
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("name", ["run_page", "sweep_page"])
def test_every_control_and_picture_has_a_name(request, name):
    nameless = """[...document.querySelectorAll("button, input, a[href], img[src], [role], pre, dialog")]
        .filter((element) => !["alt", "aria-label", "aria-labelledby"].some((name) => element.getAttribute(name)))
        .filter((element) => !element.textContent.trim() && !element.matches(".modebar"))
        .map((element) => element.outerHTML)"""
    assert request.getfixturevalue(name).evaluate(nameless) == []


def test_pages_without_content_or_frames_or_history(browser, tmp_path):
    texture = make_account(content=None, history=[], losses={})
    with opened(browser, tmp_path, report.render_page(texture)) as page:
        assert page.get_attribute("#before", "src") == f"data:image/jpeg;base64,{base64_of(texture.frames[0])}"
        page.keyboard.press("Home")
        assert frame_shown(page) == texture.frames[0].jpeg
        assert readout(page) == ("0", "0 s", "–")
    bare = make_account(content=None, styles=[], frames=[])
    with opened(browser, tmp_path, report.render_page(bare)) as page:
        assert page.locator("#compare").count() == page.locator("#player").count() == 0
        page.keyboard.press("Home")
        assert len(points(page, "terms")["total"][0]) == 11


def base64_of(frame: Frame) -> str:
    return base64.b64encode(frame.jpeg).decode()


def test_largest_report_is_usable(browser, tmp_path):
    recorder = Recorder(1)  # of white noise, the largest of frames
    noise = np.random.default_rng(0).integers(0, 256, (FRAME_SIDE, FRAME_SIDE, 3), np.uint8)
    for i in range(3):
        recorder(SimpleNamespace(iteration=i, iterations=2, seconds=0.0, image=noise[::-1] if i % 2 else noise))
    frames = [Frame(5 * i, 1.0 * i, recorder.frames[i % 3].jpeg) for i in range(MAX_FRAMES)]
    rows = [{**row, **{f"style scale{i}": row["style"] / i for i in range(1, 20)}} for row in history(2001)]
    html = report.render_page(make_account(frames=frames, history=rows))
    assert 15e6 < len(html.encode()) < 25e6
    with opened(browser, tmp_path, html) as page:
        curves = {**points(page, "terms"), **points(page, "layers")}
        assert (len(curves), {len(x) for x, _ in curves.values()}) == (26, {2001})
        page.keyboard.press("Home")
        for index in range(1, 30):
            page.keyboard.press("ArrowRight")
            assert frame_shown(page) == recorder.frames[index % 3].jpeg
        assert readout(page) == ("145", "29.0 s", "6.8493")
        assert page.evaluate("performance.memory.usedJSHeapSize") < 250e6


# --- the page of a sweep ----------------------------------------------------------------------------------------------


def test_gallery_has_the_curves_of_all_runs(sweep_page):
    curves = points(sweep_page, "totals")
    assert {name: len(x) for name, (x, _) in curves.items()} == {"a": 5, "c": 3}


def test_gallery_enlarges_a_picture_with_mouse_and_keys(sweep_page):
    page = sweep_page

    def shown() -> tuple[str, str, bool]:
        label, numbers = (page.text_content(f"#enlarged-{name}") for name in ("label", "numbers"))
        assert page.get_attribute("#enlarged-picture", "src") == page.get_attribute(f".thumb img[alt={label}]", "src")
        return label, numbers, page.is_visible("#enlarged-link")

    assert not page.is_visible("#enlarged")
    page.click(".thumb >> nth=0")
    assert shown() == ("a", "12.5 · 10.0 s", False)
    page.keyboard.press("ArrowRight")
    assert shown() == ("c", "12.5 · 20.0 s", True)
    assert page.get_attribute("#enlarged-link", "href") == "run%20c/report.html"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert shown()[0] == "c"
    page.keyboard.press("Escape")
    assert not page.is_visible("#enlarged")
    wait_until(page, "document.activeElement.getAttribute('aria-label') === 'Enlarge c'")
    page.keyboard.press("Enter")
    assert shown()[0] == "c"
    page.click("#close")
    assert not page.is_visible("#enlarged")
    page.watch.check()


def test_contact_sheet_scrolls_in_its_own_box_with_its_labels(browser, tmp_path):
    jpeg = encode_jpeg(np.zeros((24, 36, 3), np.uint8), 36, 90)
    cells = [
        report.Cell(r, c, f"{r}/{c}", f"{r}/{c}", jpeg, "budget", "", 1.0, {}, []) for r in range(9) for c in range(9)
    ]
    labels = [f"label {i}" for i in range(9)]
    gallery = make_gallery(cells=cells, row_labels=labels, column_labels=labels)
    with opened(browser, tmp_path, report.render_gallery(gallery), 400) as page:
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
        page.evaluate("document.querySelector('.sheet-box').scrollTo(300, 150)")
        assert page.evaluate("[document.querySelector('.sheet-box').scrollLeft, scrollX]") == [300, 0]
        box = page.locator(".sheet-box").bounding_box()
        assert page.locator(".sheet tbody th").nth(3).bounding_box()["x"] == pytest.approx(box["x"] + 1, abs=1)
        assert page.locator(".sheet thead th").nth(3).bounding_box()["y"] == pytest.approx(box["y"] + 1, abs=1)
