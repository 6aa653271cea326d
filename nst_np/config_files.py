"""Settings as the text of a config file: read, and written so that they come back to the last bit."""

from __future__ import annotations

import configparser
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nst_np.config import Config, checked, format_option, option_type, parse_option
from nst_np.errors import InputError
from nst_np.files import read_text


def read_config(path: str | Path) -> dict[str, Any]:
    """The settings in an INI file, a section a group (as `--help` shows them).

    ``#`` and ``;`` begin a comment only at the start of a line. A text between double quotes is read by JSON's rules,
    for file names with blanks at their ends, line breaks or other oddities. The file is in UTF-8, or in what its byte
    order mark says.

    Raises
    ------
    InputError
        If the file cannot be read, or has a section or key that does not exist or comes twice, or a value
        that its setting cannot have.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise InputError(f"config file {str(path)!r}: {getattr(error, 'strerror', None) or error}") from error
    return parse_config(text, f"config file {str(path)!r}")


def parse_config(text: str, name: str) -> dict[str, Any]:
    """`read_config` on text; `name` is what messages call it."""
    parser = configparser.ConfigParser(interpolation=None, default_section=_NO_DEFAULTS)
    try:
        parser.read_string(text, source=name)
    except configparser.MissingSectionHeaderError as error:
        raise InputError(f"{name}: line {error.lineno} comes before any section; expected one such as [images] first") \
            from error
    except configparser.Error as error:
        raise InputError(f"{name}: {' '.join(str(error).split())}") from error
    sections = {field.name: field.metadata["section"] for field in dataclasses.fields(Config)}
    settings: dict[str, Any] = {}
    for section in parser.sections():
        if section not in sections.values():
            valid = ", ".join(dict.fromkeys(sections.values()))
            raise InputError(f"{name}: unknown section [{section}]; valid: {valid}")
        for key, value in parser[section].items():
            if sections.get(key) != section:
                raise InputError(f"{name}: unknown key {key!r} in section [{section}]; {_where(key, sections)}")
            try:
                settings[key] = checked(key, parse_option(key, _unquoted(key, value)))
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
    return settings


_NO_DEFAULTS = ""  # no header can name this section, so that [DEFAULT] is as unknown as any other


def _where(key: str, sections: Mapping[str, str]) -> str:
    return f"it belongs in [{sections[key]}]" if key in sections else f"valid keys: {', '.join(sections)}"


def format_config(config: Config | Mapping[str, Any], comments: Iterable[str] = ()) -> str:
    """All settings, or those of a dictionary, as the INI text that `read_config` reads back as the same ones.

    A key left at None is left out; one of `comments` is in a comment.
    """
    lines: list[str] = []
    section = None
    for field in dataclasses.fields(Config):
        value = config.get(field.name) if isinstance(config, Mapping) else getattr(config, field.name)
        if value is None:
            continue
        if field.metadata["section"] != section:
            section = field.metadata["section"]
            lines += ["", f"[{section}]"]
        lines.append(f"{'# ' * (field.name in comments)}{field.name} = {_config_text(value)}")
    return "\n".join(lines[1:]) + "\n"


def _config_text(value: Any) -> str:
    text = format_option(value)
    return _quoted(text) if isinstance(value, str) or (isinstance(value, tuple) and text == value[0]) else text


def _quoted(text: str) -> str:
    """`text`, between quotes if a config file would not give it back as it is."""
    return text if text.isprintable() and text == text.strip() and not text.startswith('"') else json.dumps(text)


def _unquoted(name: str, text: str) -> str:
    if option_type(name) not in (str, tuple):
        return text
    if "\n" in text:
        raise InputError(f"{name} must be a single line, not {text!r}")
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise InputError(f"{name} is {text}, which is no quoted text by JSON's rules ({error})") from None
