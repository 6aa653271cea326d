"""`nst-np-gradcheck`, which is `scripts/gradcheck.py`: is every gradient the derivative of its function?"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from nst_np.cli.console import DONE, FAILED, fail, guarded, write_out
from nst_np.cli.parsing import HelpFormatter, Parser
from nst_np.config import DTYPES
from nst_np.errors import InputError

if TYPE_CHECKING:
    from nst_np.checks import Finding


def gradcheck_main(arguments: Sequence[str] | None = None) -> int:
    """`nst-np-gradcheck`: check derivatives. Returns 0 all right, 1 one is wrong, 2 bad input, 130 interrupted."""
    parser = _parser()
    return guarded(parser, arguments, lambda options: _gradcheck(options, parser.prog))


def _parser() -> Parser:
    parser = Parser(
        prog="nst-np-gradcheck", allow_abbrev=False, formatter_class=HelpFormatter,
        description="Compare every gradient with finite differences of its function: all registered layers and losses, "
                    "each network and each objective. A line for each: the derivative along the worst of some "
                    "directions, by the gradient (analytic) and by differences (numeric), their relative error, and "
                    "the order at which the remainder |f(x + t v) - f(x) - t <g, v>| vanishes, 2 if g is right.",
        epilog="Exit codes: 0 all gradients are right, 1 one is not, 2 bad input, 130 interrupted.",
    )
    parser.add_argument("--only", metavar="PATTERN",
                        help="check those whose names contain this, with * and ? as wildcards: 'layer', 'gram, pub*'")
    parser.add_argument("--plant", metavar="NAME=X", action="append", default=[],
                        help="make a gradient wrong on purpose, by a factor of 1 + X: its check must then fail. NAME "
                             "is one of the table, or what follows its first word, as in 'relu=0.001'")
    parser.add_argument("--dtype", choices=DTYPES, default="float64",
                        help="precision of the gradients; differences are always taken in float64 (default: float64)")
    parser.add_argument("--weights", metavar="FILE",
                        help="VGG weights (default: those in the box for VGG16, random ones for VGG19)")
    parser.add_argument("--image", metavar="FILE",
                        help="what networks and objectives look at, made small (default: spots of colour)")
    parser.add_argument("--plot", metavar="FILE",
                        help="draw errors over steps of the difference, .png or .svg: a V for a right gradient")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of the table")
    return parser


def _gradcheck(options: argparse.Namespace, program: str) -> int:
    from nst_np.checks import all_checks, find

    if options.plot is not None:
        from nst_np.report.steps import check_plot, write_steps

        check_plot(options.plot)
    checks = all_checks(options.weights, options.image)
    if options.only is not None:
        checks = {name: make for name, make in checks.items() if fnmatchcase(name, f"*{options.only}*")}
        if not checks:
            raise InputError(f"only is {options.only!r}, which no check's name contains; without --only all are listed")
    planted = dict(_planted(text, checks) for text in options.plant)
    findings = []
    width = max(map(len, checks))
    if not options.json:
        write_out(f"{'':{width}}  {'analytic':>15}  {'numeric':>15}    error  slope\n")
    for name, make in checks.items():
        findings.append(find(name, make, options.dtype, planted.get(name, 0.0)))
        if not options.json:
            write_out(f"{_row(findings[-1], width)}\n")
    if options.json:
        write_out(f"{json.dumps([_entry(finding) for finding in findings], indent=1, allow_nan=False)}\n")
    if options.plot is not None:
        write_steps(options.plot, findings)
    wrong = [finding for finding in findings if finding.complaint]
    for finding in wrong:
        fail(program, f"{finding.name}: {finding.complaint}", FAILED)
    return FAILED if wrong else DONE


def _planted(text: str, names: Collection[str]) -> tuple[str, float]:
    """The name and the number of ``NAME=X``."""
    name, equals, number = text.rpartition("=")
    try:
        error = float(number)
    except ValueError:
        error = math.nan
    if not equals or not math.isfinite(error):
        raise InputError(f"plant must be NAME=X with a number X, as in relu=0.001, not {text!r}")
    found = [known for known in names if name in (known, known.partition(" ")[2])]
    if len(found) != 1:
        raise InputError(f"plant names {name!r}, which is none of the checks: {', '.join(names)}")
    return found[0], error


def _row(finding: Finding, width: int) -> str:
    analytic, numeric, error, slope, *_ = finding.examination
    order = "    –" if math.isnan(slope) else f"{slope:5.2f}"
    return (f"{finding.name:{width}}  {analytic:15.8e}  {numeric:15.8e}  {error:7.1e}  {order}  "
            f"{'WRONG' if finding.complaint else 'right'}")


def _entry(finding: Finding) -> dict[str, Any]:
    """A check as JSON has it; null for what is not a number."""
    analytic, numeric, error, slope, steps, errors = finding.examination
    numbers = {"analytic": analytic, "numeric": numeric, "relative_error": error, "tolerance": finding.tolerance,
               "taylor_slope": slope}
    return {"name": finding.name, **{key: _finite(value) for key, value in numbers.items()},
            "steps": [float(step) for step in steps], "errors": [_finite(float(each)) for each in errors],
            "right": not finding.complaint, "complaint": finding.complaint or None}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
