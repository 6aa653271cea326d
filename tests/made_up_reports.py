"""Reports and galleries of runs that were not made, and an explanation of a small evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np

from nst_np import report
from nst_np.config import Config
from nst_np.explain.measuring import Explanation, explain
from nst_np.images import encode_jpeg
from nst_np.report.recording import Account, Frame
from nst_np.results import StylizeResult

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}&amp;"
LAYERS = ("content relu4_2", "style relu1_1", "style relu2_1")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: a smooth gradient in colours that the seed chooses."""
    y, x = np.mgrid[:height, :width]
    tilt = np.random.default_rng(seed).uniform(0.2, 0.8, 3)
    mixture = tilt * x[..., None] / width + (1 - tilt) * y[..., None] / height
    return np.rint(255 * mixture).astype(np.uint8)


def history(rows: int) -> list[dict[str, float]]:
    """Losses after iterations 0 to rows - 1: the content's rises from 0, the others' fall."""
    return [
        {"iteration": i, "seconds": i / 4, "total": 1000 / (i + 1), "content": 7.0 * i, "style": 2000 / (i + 1),
         "tv": 3.0, LAYERS[0]: 7.0 * i, LAYERS[1]: 1500 / (i + 1), LAYERS[2]: 500 / (i + 1)}
        for i in range(rows)
    ]  # fmt: skip


def make_account(rows: int = 11, shown: int = 6, **changes: object) -> Account:
    """The account of a run that was not made: a frame every second iteration, each of another shade of grey."""
    stride = (rows - 1) // (shown - 1)
    shades = [np.full((24, 36, 3), 40 * (index % 6), np.uint8) for index in range(shown)]
    frames = [Frame(i * stride, i * stride / 4, encode_jpeg(shade, 36, 90)) for i, shade in enumerate(shades)]
    result = StylizeResult(
        settings=Config(content="in/photo.png", style=("in/painting.png",), output="out.png", network="vgg19",
                        iterations=10, content_weight=0.5, style_weight=0.25, tv_weight=2.0),
        network="vgg19, weights made up (seed 0); on cpu", checksum="0123456789abcdef" * 4, status="budget",
        message="all 10 iterations are done", nit=10, nfev=12, seconds=75.0,
        losses={"total": 100.0, "content": 70.0, "style": 228.0, "tv": 4.0, LAYERS[0]: 70.0, LAYERS[1]: 12345678.9},
        history=history(rows), pixels=picture(24, 36, 3),
    )  # fmt: skip
    own = {name: changes.pop(name) for name in list(changes) if name not in StylizeResult.__dataclass_fields__}
    account = Account(
        title="photo.png in the style of painting.png", command="nst-np photo.png painting.png -o out.png",
        result=dataclasses.replace(result, **changes), frames=frames, content=picture(24, 36, 1),
        styles=[picture(30, 30, 2)],
    )  # fmt: skip
    return dataclasses.replace(account, **own)


def make_gallery(**changes: object) -> report.Gallery:
    """Two rows by three columns: a run that failed, one that has not been done, one place that stays empty."""
    jpeg = encode_jpeg(picture(24, 36), 36, 90)
    losses = {"total": 12.5, "style": 0.25, "style relu1_1": 0.5}
    cells = [
        report.Cell(1, 0, "3", "c", jpeg, "budget", "done", 20.0, losses, history(3), "run c/report.html"),
        report.Cell(0, 1, "2", "b", None, "failed", "NaN in the style loss", 4.0, {}, [], None),
        report.Cell(0, 0, "1", "a", jpeg, "converged", "done", 10.0, losses, history(5), None),
        report.Cell(1, 2, "4", "d", None, report.PLANNED, "", 0.0, {}, [], None),
    ]
    gallery = report.Gallery("layers by ratio", "nst-np-experiment x", ["r0", "r1"], ["c0", "c1", "c2"], cells,
                             "[start]\n")
    return dataclasses.replace(gallery, **changes)


def make_explanation(**settings: object) -> Explanation:
    """Of two pictures of 37×53 and 40×48, by a network with random weights."""
    given = {"size": 53, "weights": "random", "iterations": 2, "threads": 1, **settings}
    return explain(picture(37, 53, 1), picture(40, 48, 2), **given)
