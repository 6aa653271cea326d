"""The folder of a report: whether it may be written to, and everything that is written to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nst_np import callbacks
from nst_np.config import Config, format_option, option_names
from nst_np.config_files import format_config, read_config
from nst_np.errors import InputError
from nst_np.files import check_can_write, is_temporary
from nst_np.images import save_image
from nst_np.report.page import render_page
from nst_np.report.recording import Account
from nst_np.report.rendering import check_packages
from nst_np.report.staging import REPORT_FILE, reason, staged

_SETTINGS_FILE = "settings.ini"
_PICTURE_FILE = "picture.png"
_HISTORY_FILE = "history.csv"

#: Settings that say where things go and how fast, not what the picture is.
_FREE = ("output", "report", "history", "settings", "threads")
_CHOSEN_LATER = (("network", "auto"), ("weights", "auto"))  # a report has what these turned out to be


def check_report(folder: str | Path, config: Config) -> None:
    """Make sure, before a long run, that `write_report` will be able to write to `folder` and overwrites nothing else.

    Nothing is left behind, not even the folder: a run that is refused for another reason leaves no trace.

    Parameters
    ----------
    folder : may be missing, empty, or a report on a run with the same settings.
    config : the settings of the run that is to come.

    Raises
    ------
    InputError
        If the folder holds anything else, cannot be made or cannot be written to, or if a package that reports need is
        not installed.
    """
    check_packages()
    check_place(folder, lambda path: _check_same(path, config))


def check_place(folder: str | Path, check_filled: Callable[[Path], None]) -> None:
    """Make sure that a folder of a report can be written to; one that holds anything is passed to `check_filled`.

    Raises
    ------
    InputError
        If it cannot be made or written to, or is a file.
    """
    path = Path(folder)
    try:
        if path.exists() and not path.is_dir():
            raise InputError(f"report {str(folder)!r} is a file; expected a folder")
        if not path.exists() and not path.resolve().parent.is_dir():
            raise InputError(f"report {str(folder)!r}: folder {str(path.resolve().parent)!r} does not exist")
        if path.is_dir() and not all(is_temporary(entry.name) for entry in path.iterdir()):
            check_filled(path)
        check_can_write(path / REPORT_FILE if path.is_dir() else path)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise InputError(f"report {str(folder)!r} cannot be written: {reason(error)}") from error


def _check_same(folder: Path, config: Config) -> None:
    """Raise an `InputError` unless the folder holds a report on a run with the same settings."""
    if not (folder / _SETTINGS_FILE).is_file():
        raise InputError(f"report {str(folder)!r} is not empty and holds no report; expected a new or an empty folder")
    there = Config(**read_config(folder / _SETTINGS_FILE))
    for name in option_names():
        old, new = getattr(there, name), getattr(config, name)
        if name not in _FREE and old != new and (name, new) not in _CHOSEN_LATER:
            raise InputError(
                f"report {str(folder)!r} is of a run with other settings: {name} is {format_option(old) or 'not set'}"
                f" there and {format_option(new) or 'not set'} now; expected the same, or another folder"
            )


def write_report(folder: str | Path, account: Account, config: Config | None = None) -> Path:
    """Write the page of a run, its losses as plots and as a table, an animation, the settings and the picture.

    All of it or nothing: what an earlier report left in the folder stands until everything else is there.

    Parameters
    ----------
    folder : as `check_report` had it. If a run with other settings has written its report there since, that stays, and
        this one goes to a folder beside it, ``FOLDER-2``.
    account : of the run.
    config : the settings that `check_report` had; by default those of the result.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If a package that reports need is not installed.
    NSTError
        If a file cannot be written.
    """
    check_packages()
    from nst_np.report.animation import write_animation
    from nst_np.report.curves import write_curves

    def suits(path: Path) -> bool:
        try:
            _check_same(path, config or account.result.settings)
        except InputError:
            return not (path / _SETTINGS_FILE).exists()
        return True

    with staged(folder, suits) as files:
        stage, result = files.stage, account.result
        settings = format_config(result.settings)
        (stage / _SETTINGS_FILE).write_text(settings, encoding="utf-8")
        save_image(stage / _PICTURE_FILE, result.image, alpha=account.alpha, quality=result.settings.quality,
                   settings=settings if result.settings.settings else None)
        callbacks.write_history(stage / _HISTORY_FILE, result.history)
        write_curves(stage / "losses.svg", stage / "losses.png", result.history)
        write_animation(stage, account.frames)
        page = render_page(account, files=sorted(file.name for file in stage.iterdir()))
        (stage / REPORT_FILE).write_text(page, encoding="utf-8")
    return files.folder / REPORT_FILE
