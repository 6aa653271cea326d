"""Command lines, made from the fields of `Config`."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

from nst_np.cli.console import write_out
from nst_np.config import Config, format_option, option_names, option_type, parse_option
from nst_np.config_files import read_config
from nst_np.errors import InputError
from nst_np.presets import DEFAULT, PRESETS, default_preset, with_preset
from nst_np.version import VERSION


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are those of nst_np, and whose images may stand before and after options."""

    def error(self, message: str) -> NoReturn:
        """Raise what every bad input raises."""
        raise InputError(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        write_out(message)  # help and version

    def parse_args(self, arguments: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """The parsed arguments; after ``--``, all are files, whatever they begin with."""
        if "--" in arguments:
            end = arguments.index("--")
            files = [f".{os.sep}{file}" if file.startswith("-") else file for file in arguments[end + 1 :]]
            arguments = [*arguments[:end], *files]
        return self.parse_intermixed_args(arguments)


class HelpFormatter(argparse.HelpFormatter):
    """Help as wide as the terminal, up to what can be read."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(120, max(60, _terminal_width())))


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 2


def add_settings(parser: Parser, *, skip: Collection[str] = ()) -> Any:
    """An option for every field of `Config` but those in `skip`, grouped by section; returns the group of the rest."""
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(Config):
        if field.name in skip:
            continue
        section = field.metadata["section"]
        if section not in groups:
            groups[section] = parser.add_argument_group(f"{section}  (section [{section}] of a config file)")
        _add_option(groups[section], field)
    other = parser.add_argument_group("other")
    other.add_argument("--preset", metavar="NAME",
                       help=f"begin with the settings of a system (docs/experiments.md): {', '.join(PRESETS)} "
                            f"(default: {DEFAULT}; gram where you name style losses, style layers or a normalization, "
                            "and with --tileable, --bounds or --network wavelet; none with --config)")
    other.add_argument("--config", metavar="FILE",
                       help="read settings from this INI file; it wins over the preset, the command line over both")
    other.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    other.add_argument("--version", action="version", version=f"nst_np {VERSION}")
    return other


def add_some_settings(parser: Parser, names: Collection[str], defaults: Mapping[str, Any]) -> None:
    """An option for each of these fields of `Config`, whose defaults may be others."""
    group = parser.add_argument_group("settings")
    for field in dataclasses.fields(Config):
        if field.name in names:
            _add_option(group, field, defaults.get(field.name))


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the options of `add_settings` give: by the preset, the config file and the command line."""
    given, preset = {name: value for name, value in vars(options).items() if name in option_names()}, options.preset
    if options.config is not None:
        given = {**read_config(options.config), **given}
    elif preset is None and getattr(options, "resume", None) is None:
        preset = default_preset(given)
    return given if preset is None else with_preset(preset, given)


def typed(options: argparse.Namespace) -> set[str]:
    """The settings that the command line itself gives. A config file is often a list of all there are."""
    return {name for name in vars(options) if name in option_names()}


def _add_option(group: Any, field: dataclasses.Field[Any], default: Any = None) -> None:
    """One option from a field of `Config`, which may have another default."""
    rules, name, kind = field.metadata, field.name, option_type(field.name)
    text = rules["help"].replace("%", "%%")
    if default is not None:
        text = text.partition(" (default:")[0]
    elif field.default is not None:
        default = field.default
    if default is not None:
        text += f" (default: {format_option(default)})"
    flags = ["-o", "--output"] if name == "output" else [f"--{name.replace('_', '-')}"]
    if kind is bool:
        group.add_argument(*flags, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        return
    if rules["choices"]:
        text = f"{', '.join(map(str, rules['choices']))}: {text}"
    several = {"nargs": "+"} if kind is tuple else {"type": _converter(name)}
    group.add_argument(*flags, default=argparse.SUPPRESS, help=text, metavar=rules["metavar"] or "NAME", **several)


def _converter(name: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse_option(name, text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert
