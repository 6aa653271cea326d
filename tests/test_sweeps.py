"""Sweeps: as they are written, and as they are expanded to runs."""

from __future__ import annotations

import pytest

from nst_np.errors import InputError
from nst_np.experiments import expand, load_sweep, parse_sweep, sweep_names
from nst_np.experiments.labels import labels, layers_text, number, slug
from nst_np.experiments.reconstruction import reconstruction
from nst_np.load import check_layers
from nst_np.presets import PRESETS


def sweep_of(text):
    return parse_sweep(text, "sweep 'x.toml'", "x")


def grid_of(text, contents=("photo.png",), styles=("painting.png",), **given):
    return expand(sweep_of(text), contents, styles, given)


def images_for(sweep):
    """As many images as a sweep needs to show something."""
    axes = (sweep.rows, sweep.columns)
    contents = ["a.jpg", "b.jpg"][: 1 + ("contents" in axes)] if sweep.wants_content else []
    styles = ["x.jpg", "y.jpg"][: 1 + ("styles" in axes)] if sweep.wants_style else []
    return contents, styles


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, text", [
    (0.001, "0.001"), (1e-4, "1e-4"), (1.5e-7, "1.5e-7"), (0.0, "0"), (-0.5, "-0.5"), (300, "300"), (1e4, "10000"),
    (1e5, "1e5"), (1234567.0, "1234567"), (12345.678, "12345.678"),
])
def test_numbers_as_people_write_them(value, text):
    assert number(value) == text
    assert float(text) == value


@pytest.mark.parametrize("layers, text", [
    ({"conv1_1": 1.0}, "conv1_1"),
    ({"conv1_1": 0.5, "conv2_1": 0.5}, "conv1_1, conv2_1"),
    ({"conv1_1": 0.3, "conv2_1": 0.3, "conv3_1": 0.3}, "conv1_1 … conv3_1"),
    ({"conv1_1": 0.3, "conv3_1": 0.3, "conv5_1": 0.3}, "conv1_1, conv3_1, conv5_1"),
    ({"conv1_1": 0.3, "conv2_2": 0.3, "conv3_3": 0.3}, "conv1_1, conv2_2, conv3_3"),
    ({"scale9": 1.0, "scale10": 1.0, "scale11": 1.0}, "scale9 … scale11"),
    ({"relu1_2": 0.0, "relu2_2": 1.0, "relu3_2": 0.0}, "relu2_2"),
    ({"relu1_2": 0.3, "relu2_2": 1e-5}, "relu1_2 0.3, relu2_2 1e-5"),
    ({"relu1_2": 0.0}, "relu1_2"),
])
def test_layers_in_few_words(layers, text):
    assert layers_text(layers) == text


@pytest.mark.parametrize("variants, expected", [
    ([{"pooling": "max"}, {"pooling": "average"}], ["max", "average"]),
    ([{"content_weight": 1e-5}, {"content_weight": 1e-2}], ["α 1e-5", "α 0.01"]),
    ([{"iterations": 20}, {"iterations": 300}], ["iterations 20", "iterations 300"]),
    ([{"bounds": True}, {"bounds": False}], ["bounds yes", "bounds no"]),
    ([{"style_weight": 2.0, "optimizer": "adam"}, {"style_weight": 3.0, "optimizer": "lbfgs"}],
     ["β 2 · optimizer adam", "β 3 · optimizer lbfgs"]),
    ([{"style_weight": 2.0, "seed": 1}, {"style_weight": 3.0, "seed": 1}], ["β 2", "β 3"]),  # what is equal goes unsaid
    ([{"seed": 1}], ["seed 1"]),
    ([{"seed": 1}, {"pooling": "max"}], ["seed 1", "pooling max"]),
    ([{"style_layers": {"a": 1.0}}, {"style_layers": {"a": 2.0}}], ["style layers a=1.0", "style layers a=2.0"]),
    ([{"style_blend": (0.7, 0.3)}, {"style_blend": (0.5, 0.5)}], ["style blend 0.7 : 0.3", "style blend 0.5 : 0.5"]),
    ([{"learning_rate": None}, {"learning_rate": 2.0}], ["learning rate by default", "learning rate 2"]),
])
def test_labels_say_what_differs(variants, expected):
    assert labels(variants) == expected


def test_slugs_are_safe_for_files():
    assert slug("α/β 1e-3 · conv1_1 … conv3_1") == "alpha-beta-1e-3-conv1-1-conv3-1"
    assert slug("../../étude\0") == "etude"
    assert slug("中") == ""
    assert len(slug("x" * 500)) == 40


# --- sweeps as they are written ---------------------------------------------------------------------------------------


def test_a_sweep_with_all_there_is():
    sweep = sweep_of("""
        title = "All"
        preset = "gatys2015"
        [settings]
        size = 256
        style_layers = ["conv1_1", "conv2_1"]
        content_layers = { conv3_1 = 2, conv4_1 = 1 }
        [rows]
        content_weight = [1, "1e-3"]
        seed = [1, 2]
        [[columns]]
        label = "fast"
        optimizer = "adam"
        [[columns]]
        optimizer = "lbfgs"
        bounds = "yes"
    """)
    assert (sweep.title, sweep.preset, sweep.snapshots) == ("All", "gatys2015", ())
    assert sweep.settings == {"size": 256, "style_layers": {"conv1_1": 0.5, "conv2_1": 0.5},
                              "content_layers": {"conv3_1": 2.0, "conv4_1": 1.0}}
    assert [(row.label, row.settings) for row in sweep.rows] == [
        ("α 1 · seed 1", {"content_weight": 1.0, "seed": 1}),
        ("α 0.001 · seed 2", {"content_weight": 0.001, "seed": 2})]
    assert [(column.label, column.settings) for column in sweep.columns] == [
        ("fast", {"optimizer": "adam"}), ("optimizer lbfgs · bounds yes", {"optimizer": "lbfgs", "bounds": True})]
    assert sweep.varied == {"content_weight": "rows", "seed": "rows", "optimizer": "columns", "bounds": "columns"}


def test_a_sweep_is_called_by_its_file():
    assert sweep_of("").title == "x"


LAYERS = "as in {'relu1_1': 1.0}, not {}"


@pytest.mark.parametrize("text, complaint", [
    ("a = ", "not a TOML file (Invalid value (at end of document))"),
    ("colums = {}", "has no key 'colums'; valid: title, preset, settings, rows, columns, snapshots"),
    ("title = 3", "title must be a line of text, not 3"),
    ('title = "a\\nb"', "title must be a line of text, not 'a\\nb'"),
    ('preset = "gatys"', f"preset must be one of {', '.join(PRESETS)}, not 'gatys'"),
    ("preset = [1]", "preset must be a line of text, not [1]"),
    ("settings = 1", "[settings] must be a table of settings, not 1"),
    ("[settings]\nsize = 3", "[settings] size must be at least 16, not 3"),
    ("[settings]\nsize = 2026-01-01", "[settings] size must be a whole number, not datetime.date(2026, 1, 1)"),
    ("[settings]\ncontent_weight = nan", "[settings] content_weight must be finite, not nan"),
    ('[settings]\npooling = "min"', "[settings] pooling must be one of average, max, l2, not 'min'"),
    ('[settings]\ncontent = "a.jpg"', "[settings] content can only be 'none'; images are named on the command line"),
    ('[settings]\nstyle = ["a.jpg"]', "[settings] style can only be 'none'; images are named on the command line"),
    ('[settings]\nstyle_layers = ["a", "a"]', "[settings] layer 'a' is named twice"),
    ("[settings]\nstyle_layers = {}", "[settings] style_layers must give at least one layer its weight, " + LAYERS),
    ('rows = "style"', "rows must be 'contents', 'styles' or a table of settings, not 'style'"),
    ("columns = 7", "[columns] must be a table of settings, not 7"),
    ("[rows]\nsize = 32", "[rows] size must be a list of values, not 32"),
    ("[rows]\nsize = []", "[rows] size must be a list of values, not []"),
    ("[rows]\nsize = [32, 48]\nseed = [1]", "[rows] must have as many of each setting; there are size 2, seed 1"),
    ("[rows]\nseed = [1, 2, 1]", "[rows] has 'seed 1' twice"),
    ("[rows]\nseed = [1, -1]", "[rows] seed must be at least 0, not -1"),
    ("[[rows]]\nseed = 1\nlabel = 2", "[[rows]] label must be a line of text, not 2"),
    ('[[rows]]\nlabel = "a"', "[[rows]] has an entry without settings"),
    ("rows = [1]", "[[rows]] must be a table of settings, not 1"),
    ('rows = "styles"\ncolumns = "styles"', "rows and columns are both 'styles'"),
    ('rows = "styles"\n[settings]\nstyle = "none"', "rows is 'styles', but [settings] says that there are none"),
    ("[rows]\nseed = [1, 2]\n[columns]\nseed = [3, 4]", "seed is varied by rows and by columns"),
    ("snapshots = [5, 20]\n[columns]\nseed = [3, 4]", "snapshots are columns of their own; there can be no others"),
    ("snapshots = [5, 20]\n[rows]\niterations = [3, 4]", "iterations is varied by rows and by snapshots"),
    ("snapshots = [5]\n[settings]\niterations = 3", "[settings] has iterations, which are those of the last snapshot"),
    *((f"snapshots = {value}", "snapshots must be numbers of iterations that go up, as in [5, 20, 100], not " + value)
      for value in ("[20, 5]", "[5, 5]", "[-1, 5]", "[1.5]", "[0]", "5")),
])
def test_what_a_sweep_cannot_have(text, complaint):
    with pytest.raises(InputError) as error:
        sweep_of(text)
    assert str(error.value).replace(":  ", ": ") == f"sweep 'x.toml': {complaint}"


def test_settings_that_no_sweep_has():
    for key in ("output", "history", "report", "sise"):
        with pytest.raises(InputError, match=rf"^sweep 'x.toml': \[settings\] has no key '{key}'; valid: content, "):
            sweep_of(f'[settings]\n{key} = "x"')
    with pytest.raises(InputError, match=r"^sweep 'x.toml': \[columns\] has no key 'style'; valid: style_blend, "):
        sweep_of('[columns]\nstyle = ["a.jpg", "b.jpg"]')


def test_numbers_that_python_will_not_write():
    with pytest.raises(InputError) as error:
        sweep_of(f"[settings]\nsize = 0x{'f' * 8000}")
    assert str(error.value).startswith("sweep 'x.toml': [settings] ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(encoding, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes('title = "α/β"\r\n[settings]\r\nsize = 64\r\n'.encode(encoding))
    sweep = load_sweep(str(path))
    assert (sweep.title, sweep.settings) == ("α/β", {"size": 64})


def test_what_has_no_end_is_no_sweep(tmp_path):
    path = tmp_path / "endless.toml"
    path.symlink_to("/dev/zero")
    with pytest.raises(InputError) as error:
        load_sweep(str(path))
    assert str(error.value) == f"sweep {str(path)!r}: a pipe or a device; expected a file"


def test_files_that_are_no_sweeps(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    (tmp_path / "folder.toml").mkdir()
    for name, complaint in (("bytes", "not UTF-16 text"), ("deep", "not a TOML file"), ("folder", "Is a directory"),
                            ("none", "No such file or directory")):
        path = str(tmp_path / f"{name}.toml")
        with pytest.raises(InputError) as error:
            load_sweep(path)
        assert str(error.value).startswith(f"sweep {path!r}: {complaint}")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no sweep is called 'e4040'; expected a .toml file or one of config-adam-ra"):
        load_sweep("e4040")
    with pytest.raises(InputError, match="null"):
        load_sweep("a\0.toml")


# --- sweeps as they are expanded --------------------------------------------------------------------------------------


RUNS = {
    "config-adam-ratios": 5, "config-adam-styles": 2, "e4040-content-layers": 5, "e4040-contents": 2,
    "e4040-initial": 2, "e4040-optimisers": 2, "e4040-pooling": 2, "e4040-ratios": 6, "e4040-style-layers": 5,
    "e4040-style-weights": 2, "e4040-styles": 2, "gallery": 4, "gatys2015-content": 5, "gatys2015-grid": 20,
    "gatys2015-style": 5, "gnr652-settings": 5, "losses": 18, "wavelet-content": 5, "wavelet-grid": 16,
    "wavelet-style": 5,
    "waykar-content": 5, "waykar-epochs": 1, "waykar-style": 5,
}  # fmt: skip


def test_all_sweeps_are_there():
    assert sweep_names() == list(RUNS)


def test_every_sweep_expands():
    for name, count in RUNS.items():
        sweep = load_sweep(name)
        grid = expand(sweep, *images_for(sweep), {})
        distinct = {run.label for run in grid.runs}, {str(run.config) for run in grid.runs}
        assert [len(grid.runs), *map(len, distinct)] == [count] * 3, name
        places = [place for run in grid.runs for place in run.pictures]
        assert places == [(row, column) for row in range(len(grid.rows)) for column in range(len(grid.columns))]
        for run in grid.runs:
            check_layers(run.config)


def settings_of(name, **given):
    """The settings of each run of a shipped sweep, by label, as far as they differ from the preset's or defaults."""
    sweep = load_sweep(name)
    runs = expand(sweep, *images_for(sweep), given).runs
    plain = expand(parse_sweep(f'preset = "{sweep.preset}"' if sweep.preset else "", "x"), ["a.jpg"], ["x.jpg"], given)
    base = plain.runs[0].config
    return {run.label: {key: value for key, value in vars(run.config).items() if value != getattr(base, key)}
            for run in runs}


def blocks(last, pattern="conv{}_1"):
    return {pattern.format(block): 1 / last for block in range(1, last + 1)}


def test_settings_of_gnr652():
    assert list(settings_of("gnr652-settings", seed=3).values()) == [
        {},  # the first are the preset's own
        {"content_weight": 1e-5, "style_weight": 2e-5, "iterations": 100},
        {"content_weight": 1e-6, "style_weight": 5e-5, "iterations": 300},
        {"content_weight": 1e-6, "style_weight": 5e-5, "iterations": 1000},
        {"content_weight": 1e-6, "style_weight": 5e-5, "iterations": 2000},
    ]


def test_settings_of_the_paper():
    grid = settings_of("gatys2015-grid")
    common = {"size": 256, "fit": "shorter"}
    weights = {"1e-3": {}, "1e-2": {"content_weight": 1e-2}, "0.1": {"content_weight": 0.1},
               "1": {"content_weight": 1.0}}
    names = ["conv1_1", "conv1_1, conv2_1", *(f"conv1_1 … conv{last}_1" for last in (3, 4, 5))]
    assert grid == {
        f"{name} · α/β {ratio}": {**common, **weight, **({} if last == 5 else {"style_layers": blocks(last)})}
        for last, name in enumerate(names, 1) for ratio, weight in weights.items()
    }
    alone = {**common, "content_weight": 1.0, "style": ("none",), "noise_strength": 0.1}
    assert settings_of("gatys2015-content") == {
        layer: {**alone, "content_layers": {layer: 1.0}} for layer in (f"conv{block}_1" for block in range(1, 6))}
    assert settings_of("gatys2015-style") == {
        name: {**common, "content": "none", **({} if last == 5 else {"style_layers": blocks(last)})}
        for last, name in enumerate(names, 1)
    }


def test_settings_of_e4040():
    assert settings_of("e4040-ratios") == {
        "β 10": {"style_weight": 10.0}, "β 100": {"style_weight": 100.0}, "β 1000": {"style_weight": 1000.0},
        "β 10000": {}, "β 1e5": {"style_weight": 1e5}, "β 1e7": {"style_weight": 1e7}}
    assert settings_of("e4040-content-layers") == {
        f"relu{block}_2": {"content_layers": {f"relu{block}_2": 1.0}} if block != 4 else {} for block in range(1, 6)}
    assert settings_of("e4040-style-layers") == {
        f"relu{block}_2": {"style_layers": {f"relu{block}_2": 1.0}} for block in range(1, 6)}
    weights = {f"relu{block}_2": weight for block, weight in enumerate((0.3, 0.1, 0.2, 0.3, 0.1), 1)}
    assert settings_of("e4040-style-weights") == {"0.2 each": {}, "0.3, 0.1, 0.2, 0.3, 0.1": {"style_layers": weights}}
    assert settings_of("e4040-pooling") == {"max": {"pooling": "max"}, "average": {}}
    assert settings_of("e4040-optimisers") == {"rmsprop": {"optimizer": "rmsprop"}, "adam": {}}
    assert settings_of("e4040-initial") == {"noise": {"init": "noise"}, "mixture": {}}
    assert settings_of("e4040-contents") == {"a": {}, "b": {"content": "b.jpg"}}
    assert settings_of("e4040-styles") == {"x": {}, "y": {"style": ("y.jpg",)}}


def test_settings_of_the_others():
    assert settings_of("config-adam-ratios") == {
        "α 0.1": {"content_weight": 0.1}, "α 0.01": {"content_weight": 0.01}, "α 0.001": {},
        "α 1e-4": {"content_weight": 1e-4}, "α 1e-5": {"content_weight": 1e-5}}
    assert settings_of("waykar-epochs") == {"Waykar: epoch by epoch": {}}  # 500 iterations, as the preset
    assert list(settings_of("waykar-content").values())[4] == {
        "content_layers": {"conv5_1": 1.0}, "content_weight": 1.0, "style": ("none",), "noise_strength": 0.1}
    assert list(settings_of("waykar-style").values())[1] == {"content": "none", "style_layers": blocks(2)}
    wavelet = {"network": "wavelet", "size": 256, "init": "noise", "coarse_to_fine": 1, "iterations": 200}
    assert settings_of("wavelet-style")["scale1 … scale4"] == {
        **wavelet, "content": "none", "style_layers": blocks(4, "scale{}")}
    assert settings_of("wavelet-content")["scale2"] == {
        **wavelet, "style": ("none",), "content_layers": {"scale2": 1.0}, "content_weight": 1.0, "noise_strength": 0.1,
        "center_content": False}


def test_snapshots_are_columns():
    sweep = load_sweep("waykar-epochs")
    grid = expand(sweep, ["a.jpg"], ["x.jpg", "y.jpg"], {})
    assert grid.columns[:3] == ("0 iterations", "1 iteration", "5 iterations")
    assert grid.rows == ("x", "y")
    assert list(grid.runs[1].pictures.items())[2] == ((1, 2), "after-00005.png")
    assert {run.config.iterations for run in grid.runs} == {500}
    with pytest.raises(InputError, match="snapshots need coarse_to_fine 1, not 2"):
        expand(sweep, ["a.jpg"], ["x.jpg"], {"coarse_to_fine": 2})
    assert grid_of("snapshots = [7]").runs[0].config.coarse_to_fine == 1


def test_what_wins():
    """Axes over the command line over the sweep over its preset over the defaults."""
    sweep = sweep_of('preset = "e4040"\n[settings]\nseed = 5\niterations = 7\n[columns]\npooling = ["max", "average"]')
    runs = expand(sweep, ["a.jpg"], ["x.jpg"], {"iterations": 9, "margin": 4}).runs
    assert [(run.config.pooling, run.config.seed, run.config.iterations, run.config.margin, run.config.size)
            for run in runs] == [("max", 5, 9, 4, 224), ("average", 5, 9, 4, 224)]
    with pytest.raises(InputError) as error:
        expand(sweep, ["a.jpg"], ["x.jpg"], {"pooling": "max"})
    assert str(error.value) == "pooling is what this sweep varies (by its columns); it cannot be given"
    with pytest.raises(InputError, match="iterations is what this sweep varies"):
        expand(load_sweep("waykar-epochs"), ["a.jpg"], ["x.jpg"], {"iterations": 7})


def test_every_style_gets_a_block_of_rows():
    text = "[rows]\nseed = [1, 2]\n[columns]\npooling = ['max', 'average']"
    grid = expand(sweep_of(text), ["a.jpg", "b.jpg"], ["s/x.jpg", "t/x.jpg"], {})
    assert grid.rows == tuple(f"{content} · {style} · seed {seed}" for content in "ab"
                              for style in ("s/x.jpg", "t/x.jpg") for seed in (1, 2))
    run = grid.runs[2 * 5 + 1]
    assert (run.row, run.column, run.label) == (5, 1, "b · s/x.jpg · seed 2 · average")
    assert (run.config.content, run.config.style, run.config.seed, run.config.pooling) == (
        "b.jpg", ("s/x.jpg",), 2, "average")
    assert expand(sweep_of(text), ["a.jpg"], ["x.jpg"], {}).rows == ("seed 1", "seed 2")


def test_images_as_axes():
    grid = expand(sweep_of('rows = "styles"\ncolumns = "contents"'), ["a.jpg", "b.jpg"], ["x.jpg"], {})
    assert (grid.rows, grid.columns) == (("x",), ("a", "b"))
    assert [(run.label, run.config.content, run.config.style) for run in grid.runs] == [
        ("x · a", "a.jpg", ("x.jpg",)), ("x · b", "b.jpg", ("x.jpg",))]


def test_styles_are_blended_where_shares_are_given():
    grid = expand(sweep_of("[columns]\nstyle_blend = [[0.7, 0.3], [0.5, 0.5]]"), ["a.jpg"], ["x.jpg", "y.jpg"], {})
    assert [(run.label, run.config.style, run.config.style_blend) for run in grid.runs] == [
        ("style blend 0.7 : 0.3", ("x.jpg", "y.jpg"), (0.7, 0.3)),
        ("style blend 0.5 : 0.5", ("x.jpg", "y.jpg"), (0.5, 0.5))]
    with pytest.raises(InputError, match="style_blend takes all styles at once"):
        expand(sweep_of('rows = "styles"'), ["a.jpg"], ["x.jpg", "y.jpg"], {"style_blend": (1, 1)})


def test_images_that_are_missing_or_not_wanted():
    for name, contents, styles, complaint in (
        ("e4040-pooling", ["a"], [], "no style image is given, and sweep 'e4040-pooling' needs one"),
        ("waykar-content", [], [], "no content image is given, and sweep 'waykar-content' needs one"),
        ("waykar-content", ["a"], ["x"], "sweep 'waykar-content' needs no style image, but 'x' is given"),
    ):
        with pytest.raises(InputError) as error:
            expand(load_sweep(name), contents, styles, {})
        assert str(error.value) == complaint


def test_settings_that_do_not_go_together_name_their_run():
    with pytest.raises(InputError) as error:
        grid_of("[settings]\nstyle_weight = 0\n[columns]\ncontent_weight = [1, 0]")
    assert str(error.value) == ("sweep 'x.toml', α 0: content_weight and style_weight are both 0: nothing to minimise")


# --- reconstructions --------------------------------------------------------------------------------------------------


def test_reconstructions_by_default(folder):
    content = reconstruction("photo.png", "content", given={"network": "wavelet"})
    assert [column.settings["content_layers"] for column in content.columns] == [
        {f"scale{s}": 1.0} for s in (1, 2, 3, 4)]
    grid = expand(content, ["photo.png"], [], {"network": "wavelet"})
    config = grid.runs[0].config
    assert (config.init, config.noise_strength, config.center_content, config.size) == ("noise", 0.1, False, 256)
    assert (config.style, config.content_weight, config.tv_weight) == (("none",), 1.0, 2.0)
    assert grid.title == "photo.png: its content, reconstructed"

    style = reconstruction("painting.png", "style", given={"network": "wavelet", "size": 80})
    assert [column.label for column in style.columns] == ["scale1", "scale1, scale2", "scale1 … scale3"]
    assert style.columns[1].settings == {"style_layers": {"scale1": 0.5, "scale2": 0.5}}
    config = expand(style, [], ["painting.png"], {}).runs[0].config
    assert (config.content, config.init, config.noise_strength, config.tv_weight) == ("none", "noise", 5.0, 0.0)


def test_reconstructions_of_vgg(folder):
    given = {"network": "vgg19", "weights": "random"}
    style = reconstruction("painting.png", "style", each=True, preset="gatys2015", given=given)
    assert [column.settings["style_layers"] for column in style.columns] == [{f"conv{n}_1": 1.0} for n in range(1, 6)]
    config = expand(style, [], ["painting.png"], given).runs[0].config
    assert (config.iterations, config.normalization, config.style_weight) == (500, "published", 1.0)  # the preset's
    content = reconstruction("photo.png", "content", preset="gatys-notebook")  # which begins with the content itself
    assert expand(content, ["photo.png"], [], {}).runs[0].config.init == "noise"
    assert expand(content, ["photo.png"], [], {"init": "grey"}).runs[0].config.init == "grey"
    named = reconstruction("painting.png", "style", ["relu1_1", "relu3_1"])
    assert [column.settings["style_layers"] for column in named.columns] == [
        {"relu1_1": 1.0}, {"relu1_1": 0.5, "relu3_1": 0.5}]


def test_reconstructions_of_nothing(folder):
    with pytest.raises(InputError, match="what must be one of content, style, not 'colour'"):
        reconstruction("photo.png", "colour")
    with pytest.raises(InputError, match="content image 'none.png': cannot be opened"):
        reconstruction("none.png", "content", given={"network": "wavelet"})
