"""Settings: their ranges, and the text that config files and pictures hold of them."""

from __future__ import annotations

import codecs
import dataclasses
import math
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_np.config import WEIGHTS_FORMATS, Config, format_option, option_names, option_type, parse_option, replace
from nst_np.config_files import format_config, parse_config, read_config
from nst_np.errors import InputError
from nst_np.files import LONGEST_TEXT
from nst_np.registry import STYLE_LOSSES
from nst_np.weights import reading

ODD_NAMES = [
    "my photo.png", "a#b;c%d=e:f.png", "; photo.png", "# photo.png", "föté 🎨.png", " leading.png", "trailing.png ",
    "\ttab.png", "two\nlines.png", "carriage\rreturn.png", '"quoted".png', '"', '""', "'single'.png", "back\\slash.png",
    "[images]", "-dash.png", "nbsp\xa0", "line\u2028separator", "not-utf8-\udcff.png", "%(content)s", "none", "yes",
]


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting, message", [
    ({"size": 15}, "size must be at least 16, not 15"),
    ({"size": 20001}, "size must be at most 20000, not 20001"),
    ({"size": 48.0}, "size must be a whole number, not 48.0"),
    ({"size": True}, "size must be a whole number, not True"),
    ({"size": "48"}, "size must be a whole number, not '48'"),
    ({"size": None}, "size must be a whole number, not None"),
    ({"quality": 0}, "quality must be at least 1, not 0"),
    ({"quality": 101}, "quality must be at most 100, not 101"),
    ({"iterations": 0}, "iterations must be at least 1, not 0"),
    ({"seed": -1}, "seed must be at least 0, not -1"),
    ({"seed": 2**32}, "seed must be at most 4294967295, not 4294967296"),
    ({"style_scale": 0}, "style_scale must be above 0, not 0.0"),
    ({"learning_rate": -1.5}, "learning_rate must be above 0, not -1.5"),
    ({"noise_ratio": 1.25}, "noise_ratio must be at most 1, not 1.25"),
    ({"content_weight": float("nan")}, "content_weight must be finite, not nan"),
    ({"content_weight": float("inf")}, "content_weight must be finite, not inf"),
    ({"content_weight": 10**400}, "content_weight must be finite, not inf"),
    ({"content_weight": -1}, "content_weight must be at least 0, not -1.0"),
    ({"content_weight": False}, "content_weight must be a number, not False"),
    ({"bounds": 1}, "bounds must be yes or no, not 1"),
    ({"network": "vgg11"}, "network must be one of auto, vgg19, vgg16, wavelet, not 'vgg11'"),
    ({"style_loss": {"gram": 1, "x": 1}},
     f"style_loss must be of {', '.join(STYLE_LOSSES)}, not 'x'"),
    ({"dtype": "float16"}, "dtype must be one of float32, float64, not 'float16'"),
    ({"init": "a\0b"}, "init must not hold a null character, as 'a\\x00b' does"),
    ({"style_layers": {}}, "style_layers must give at least one layer its weight, as in {'relu1_1': 1.0}, not {}"),
    ({"style_layers": ["relu1_1"]},
     "style_layers must give at least one layer its weight, as in {'relu1_1': 1.0}, not ['relu1_1']"),
    ({"style_layers": {"relu1_1": -1}}, "style_layers: the weight of relu1_1 must be a number of at least 0, not -1"),
    ({"style_layers": {"relu1_1": float("nan")}},
     "style_layers: the weight of relu1_1 must be a number of at least 0, not nan"),
    ({"style_layers": {"relu1_1": True}},
     "style_layers: the weight of relu1_1 must be a number of at least 0, not True"),
    ({"style_layers": {3: 1.0}}, "style_layers must have names of layers as keys, not 3"),
    ({"content_weight": 0, "style_weight": 0},
     "content_weight and style_weight are both 0: nothing to minimise"),
    ({"bounds": True, "parametrization": "laplacian"},
     "parametrization 'laplacian' cannot keep pixels within bounds; 'pixels' can"),
    ({"tileable": True, "parametrization": "laplacian"},
     "parametrization 'laplacian' has edges, and a tileable picture has none; 'pixels' has none"),
    ({"bounds": True, "final_parametrization": "laplacian"},
     "final_parametrization 'laplacian' cannot keep pixels within bounds; 'pixels' can"),
    ({"average": 1.0}, "average must be at most 0.9999, not 1.0"),
    ({"growth": 1}, "growth must be at least 1.1, not 1.0"),
])
def test_a_wrong_value_is_refused_in_one_line(setting, message):
    with pytest.raises(InputError) as error:
        Config(**setting)
    assert str(error.value) == message


def test_numpy_numbers_and_paths_become_plain():
    config = Config(size=np.int64(48), content_weight=np.float32(0.5), style_weight=np.int8(2),
                    init=Path("a") / "b.png", style_layers={"scale1": np.float32(0.25), "scale2": np.int64(3)})
    assert (config.size, config.content_weight, config.style_weight) == (48, 0.5, 2.0)
    assert [type(value) for value in (config.size, config.content_weight, config.style_weight)] == [int, float, float]
    assert config.init == str(Path("a") / "b.png")
    assert config.style_layers == {"scale1": 0.25, "scale2": 3.0}
    assert {type(weight) for weight in config.style_layers.values()} == {float}


def test_a_config_does_not_share_its_layers_with_the_caller():
    layers = {"scale1": 1.0}
    config = Config(style_layers=layers)
    layers["scale1"] = -1.0
    assert config.style_layers == {"scale1": 1.0}


def test_replace_checks_again_and_names_what_it_does_not_know():
    assert replace(Config(), seed=3).seed == 3
    with pytest.raises(InputError, match="^unknown setting 'sede'; valid: content, style, "):
        replace(Config(), sede=3)
    with pytest.raises(InputError, match="^seed must be at least 0, not -3$"):
        replace(Config(), seed=-3)


def test_every_option_has_a_section_and_a_help_text_and_a_valid_default():
    for field in dataclasses.fields(Config):
        assert field.metadata["section"]
        assert len(field.metadata["help"]) > 10
    Config()


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, text, value", [
    ("size", "48", 48),
    ("size", " 48 ", 48),
    ("content_weight", "1e-3", 0.001),
    ("bounds", "Yes", True),
    ("bounds", "off", False),
    ("history", "", None),
    ("content", " a ", " a "),
    ("style_layers", "relu1_1", {"relu1_1": 1.0}),
    ("style_layers", "relu1_1=0.5, relu2_1 relu3_1=2", {"relu1_1": 0.5, "relu2_1": 1.0, "relu3_1": 2.0}),
])
def test_parse_option(name, text, value):
    assert parse_option(name, text) == value


@pytest.mark.parametrize("name, text, message", [
    ("size", "4x", "size must be a whole number, not '4x'"),
    ("size", "", "size must be a whole number, not empty"),
    ("size", "1e3", "size must be a whole number, not '1e3'"),
    ("tv_weight", "1,5", "tv_weight must be a number, not '1,5'"),
    ("bounds", "maybe", "bounds must be yes or no, not 'maybe'"),
    ("style_layers", "relu1_1=x", "style_layers: the weight of relu1_1 must be a number, not 'x'"),
    ("style_layers", "relu1_1, relu1_1=2", "style_layers names relu1_1 twice"),
])
def test_parse_option_refuses(name, text, message):
    with pytest.raises(InputError) as error:
        parse_option(name, text)
    assert str(error.value) == message


def test_option_types():
    assert [option_type(name) for name in ("content", "size", "style_scale", "bounds", "style_layers", "threads")] == [
        str, int, float, bool, dict, int]
    assert format_option({"a": 0.1, "b": 1.0}) == "a=0.1, b=1.0"


# --- config files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_file_name_comes_back_from_a_config_file(name, tmp_path):
    config = Config(content=name, style=name, output=name, weights=name, init=name, history=name)
    path = tmp_path / "run.ini"
    path.write_bytes(format_config(config).encode("utf-8"))
    assert Config(**read_config(path)) == config


VALUES = {
    str: st.text(min_size=1).filter(lambda text: "\0" not in text),
    bool: st.booleans(),
    dict: st.dictionaries(st.sampled_from(["relu1_1", "conv5_4", "scale3"]), st.floats(0, 1e300), min_size=1),
}
WRITTEN = {"memory": ["4GB", " 1.5 GiB", "500m"],  # in forms of their own
           "scheduler": ["local:2", "tcp://host:8786", None]}
VALUES[tuple] = st.lists(VALUES[str].filter(lambda text: text != "none"), min_size=1, max_size=3).map(tuple)


def test_the_setting_offers_every_format_of_weights():
    assert WEIGHTS_FORMATS == reading.WEIGHTS_FORMATS


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_every_setting_comes_back_to_the_last_bit(data):
    changes = {}
    for field in dataclasses.fields(Config):
        rules, kind = field.metadata, option_type(field.name)
        if field.name in ("content_loss", "style_loss", "final_style_loss"):
            strategy = st.dictionaries(st.sampled_from([*rules["choices"]]), st.floats(0, 1e300), min_size=1)
        elif field.name in WRITTEN:
            strategy = st.sampled_from(WRITTEN[field.name])
        elif rules["choices"]:
            strategy = st.sampled_from([*rules["choices"]])
        elif kind is int:
            strategy = st.integers(rules["minimum"], rules["maximum"])
        elif kind is float:
            strategy = st.floats(rules["minimum"] or 1e-300, rules["maximum"] or 1e300)
        elif kind is list:
            strategy = st.tuples(*[st.floats(1e-300, 1e300)] * len(changes["style"]))
        elif field.name == "style_regions":
            strategy = st.tuples(*[VALUES[str]] * len(changes["style"]))
        else:
            strategy = VALUES[kind]
        changes[field.name] = data.draw(strategy, label=field.name)
    changes["bounds"] &= changes["optimizer"] != "lbfgs-own"  # which has none
    if changes["bounds"] or changes["tileable"]:
        changes["parametrization"] = changes["final_parametrization"] = "pixels"  # the other has none
    if changes["tileable"]:
        changes["keep"] = changes["piece_size"] = changes["scheduler"] = None
    if changes["scheduler"] is not None:
        changes["device"] = "cpu"
    config = Config(**changes)
    assert Config(**parse_config(format_config(config), "text")) == config


def test_the_default_config_comes_back_and_leaves_out_what_is_chosen_later():
    text = format_config(Config())
    assert Config(**parse_config(text, "text")) == Config()
    assert "threads" not in text
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        f"[{section}]" for section in dict.fromkeys(field.metadata["section"] for field in dataclasses.fields(Config))]


def test_comments_indents_byte_order_marks_and_quotes(tmp_path):
    path = tmp_path / "run.ini"
    path.write_text(
        '# a comment\n; another\n[images]\n  content = "a b.png"\n  ; a third\n  SIZE: 48\n'
        "[objective]\nstyle_layers = scale1=0.5,\n   scale2\n[files]\nhistory =\n", encoding="utf-8-sig")
    assert read_config(path) == {
        "content": "a b.png", "size": 48, "style_layers": {"scale1": 0.5, "scale2": 1.0}, "history": None}


@pytest.mark.parametrize("text, message", [
    ("[images]\nsizes = 3\n", f"unknown key 'sizes' in section [images]; valid keys: {', '.join(option_names())}"),
    ("[images]\nnetwork = wavelet\n", "unknown key 'network' in section [images]; it belongs in [network]"),
    ("[image]\nsize = 3\n",
     "unknown section [image]; valid: images, regions, network, objective, optimizer, start, files, machine"),
    ("[DEFAULT]\nsize = 48\n",
     "unknown section [DEFAULT]; valid: images, regions, network, objective, optimizer, start, files, machine"),
    ("[images]\nsize = 48\nsize = 64\n",
     "While reading from 'run.ini' [line 3]: option 'size' in section 'images' already exists"),
    ("[images]\n[start]\n[images]\n", "While reading from 'run.ini' [line 3]: section 'images' already exists"),
    ("size = 48\n", "line 1 comes before any section; expected one such as [images] first"),
    ("# a comment\n\n" + "x" * 10**6, "line 3 comes before any section; expected one such as [images] first"),
    ("[images]\nsize = many\n", "size must be a whole number, not 'many'"),
    ("[images]\nsize = 3\n", "size must be at least 16, not 3"),
    ("[images]\nsize = 48 # pixels\n", "size must be a whole number, not '48 # pixels'"),
    ("[images]\ncontent = a.png\n  b.png\n", "content must be a single line, not 'a.png\\nb.png'"),
    ('[images]\ncontent = "C:\\photo.png"\n',
     ('content is "C:\\photo.png", which is no quoted text by JSON\'s rules '
      '(Invalid \\escape: line 1 column 4 (char 3))')),
    ("[machine]\ndtype = double\n", "dtype must be one of float32, float64, not 'double'"),
    ("[machine]\nthreads = 0\n", "threads must be at least 1, not 0"),
    ("[objective]\ncontent_weight = 1e400\n", "content_weight must be finite, not inf"),
])
def test_a_wrong_config_file_is_refused_by_name(text, message):
    with pytest.raises(InputError) as error:
        parse_config(text, "run.ini")
    line = " ".join(str(error.value).split())
    assert line.replace("[line  ", "[line ").replace("[line: ", "[line ") == f"run.ini: {message}"


@pytest.mark.parametrize("content, reason", [
    (b"[images]\ncontent = \xff\n", ": not UTF-8 text$"),
    (b"\xff\xfe[\0i", ": not UTF-16 text$"),
    (b"[images]\ncontent = " + b"x" * 10**6, ": more than 1000000 bytes of text$"),
    (b"\0\x01[images", "run.ini"),
])
def test_a_file_that_is_no_config_file(content, reason, tmp_path):
    path = tmp_path / "run.ini"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        read_config(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding, mark", [
    ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
    ("utf-32-le", codecs.BOM_UTF32_LE), ("utf-32-be", codecs.BOM_UTF32_BE),
])
def test_a_byte_order_mark_tells_the_encoding(encoding, mark, tmp_path):
    text = '[images]\r\ncontent = föté 🎨.png\r\noutput = "a\\nb.png"\rsize = 48\n'
    path = tmp_path / "run.ini"
    path.write_bytes(mark + text.encode(encoding))
    assert read_config(path) == {"content": "föté 🎨.png", "output": "a\nb.png", "size": 48}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError) as error:
            read_config(path)
        assert str(error.value) == f"config file {str(path)!r}: a pipe or a device; expected a file"


@pytest.mark.parametrize("size", [LONGEST_TEXT + 1, 100 * LONGEST_TEXT])
def test_what_is_too_long_is_not_read(size, tmp_path):
    path = tmp_path / "run.ini"
    path.write_text("[images]\nsize = 48\n# ")
    os.truncate(path, size)  # takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as error:
            read_config(path)
        assert tracemalloc.get_traced_memory()[1] < 3 * LONGEST_TEXT
    finally:
        tracemalloc.stop()
    assert str(error.value) == f"config file {str(path)!r}: more than {LONGEST_TEXT} bytes of text"


def test_settings_in_comments_and_some_of_them():
    text = format_config({"seed": 3, "output": "a.png", "history": None, "size": 48}, comments=("output",))
    assert text == "[images]\n# output = a.png\nsize = 48\n\n[start]\nseed = 3\n"
    assert parse_config(text, "text") == {"size": 48, "seed": 3}


def test_a_config_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError) as error:
        read_config(tmp_path / "no.ini")
    assert str(error.value) == f"config file {str(tmp_path / 'no.ini')!r}: No such file or directory"
    with pytest.raises(InputError, match=": Is a directory$"):
        read_config(tmp_path)
    with pytest.raises(InputError, match="embedded null|not UTF-8"):
        read_config("a\0b")


@pytest.mark.parametrize("style", [
    "a.jpg", "a, b.jpg", "[a.jpg", "[" * 100_000, '["a.jpg"]', ["a.jpg", "b.jpg"], ["a, b.jpg", " c.jpg"], ["none"]])
def test_one_style_image_or_several_come_back_from_text(style):
    config = Config(style=style)
    assert config.style == ((style,) if isinstance(style, str) else tuple(style))
    assert parse_option("style", format_option(config.style)) == config.style
    assert Config(**parse_config(format_config(config), "text")) == config


def test_no_style_image_is_no_image_among_others():
    assert Config().styles == Config(style="none").styles == ()
    assert Config(style=("a", "b")).styles == ("a", "b")
    with pytest.raises(InputError, match="style is 'none' and a file as well"):
        Config(style=("a", "none"))


@pytest.mark.parametrize(("settings", "message"), [
    ({"style": ()}, r"style must be a file or several, not \(\)"),
    ({"style": ("a", 3)}, "style must be a file or several, not 3"),
    ({"style": ("a", "b"), "style_blend": (1,)}, "style_blend has 1 shares for 2 style images"),
    ({"style_blend": (0, 0)}, "style_blend must hold shares of at least 0 with a finite sum above 0, not 0.0, 0.0"),
    ({"style_blend": (1e308, 1e308)}, "style_blend must hold shares of at least 0 with a finite sum above 0"),
    ({"style_blend": (2, -1)}, "style_blend must hold shares of at least 0"),
    ({"style_blend": (1, math.nan)}, "style_blend must be numbers, as in"),
    ({"style_blend": "0.5, 0.5"}, "style_blend must be numbers, as in"),
])
def test_styles_and_shares_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        Config(**settings)
