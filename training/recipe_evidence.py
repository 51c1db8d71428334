"""Judges networks of known scaling by their first layers, and writes the tables of the docs.

    python training/recipe_evidence.py [--statistics cats.npz]

The networks of ``first_norm_fixtures.py`` saw only dogs, so they are judged by statistics of cats
(measured anew, a minute; or a file of ``patch_statistics.py --only cats``). Models of strangers
under TINTYPE_TEST_DATA are judged by the statistics that Tintype ships.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import patch_statistics as measuring
from tintype.errors import TintypeError
from tintype.modelfiles.description import FirstLayers
from tintype.modelfiles.open import describe
from tintype.models.recipes.first_norm import NormFit, fit_first_norm
from tintype.models.recipes.patch_statistics import (
    PatchStatistics,
    grey,
    patch_statistics,
    read_statistics,
)
from tintype.models.recipes.response import rectified, response
from tintype.models.recipes.scales import SCALES, base_name

ROOT = measuring.ROOT
FIXTURES = ROOT / "tests/models/recipes/networks"
FOLDED_EPSILON = 1e-3
MARK = "<!-- written by training/recipe_evidence.py from here on -->"
COLUMNS = (
    "x/127.5-1",
    "x/255",
    "x/255-0.5",
    "ImageNet mean and std",
    "minus ImageNet means",
    "0..255",
)
HEADS = ("±1", "0..1", "±0.5", "ImageNet", "minus means", "0..255")
TRUTHS = {"torch": "ImageNet mean and std", "caffe": "minus ImageNet means", "raw": "0..255"}
STRANGERS = (
    ("teachable-machine/keras_model.h5", "Teachable Machine"),
    ("glasses-frozen-graph/retrained_graph.pb", "glasses, MobileNet v1 0.25"),
    ("imagenet-mobilenet-v1-float/model.tflite", "MobileNet v1 0.25, TFLite"),
    ("imagenet-mobilenet-v2-quant/model.tflite", "MobileNet v2, quantised"),
    ("coco-ssd/model.tflite", "SSD MobileNet v1, quantised"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """First layers whose right answer is known."""

    name: str
    truth: str
    bgr: bool
    first: FirstLayers


def fixture(path: Path) -> Case:
    """A network of ``first_norm_fixtures.py``."""
    with np.load(path) as arrays:
        truth = str(arrays["truth"])
        name = truth.removesuffix(" bgr")
        first = FirstLayers(
            kernel=arrays["kernel"],
            bias=arrays.get("bias", None),
            mean=arrays["mean"],
            variance=arrays["variance"],
            rectified=bool(arrays["rectified"]),
        )
    return Case(path.stem, TRUTHS.get(name, name), "bgr" in truth or name == "caffe", first)


def folded(path: Path) -> Case | None:
    """The same network with its normalisation folded into the kernel, where that can be done."""
    case = fixture(path)
    first = case.first
    if first.rectified:
        return None
    with np.load(path) as arrays:
        gain = arrays["gamma"] / np.sqrt(arrays["variance"] + FOLDED_EPSILON)
        bias = arrays["beta"] - gain * arrays["mean"]
    return replace(
        case, first=replace(first, kernel=first.kernel * gain, bias=bias, mean=None, variance=None)
    )


def strangers() -> Iterator[Case]:
    """Models of others; all of them were trained with x/127.5-1."""
    folder = next(measuring.photographs("cats", 1)).parents[3] / "models"
    for file, name in STRANGERS:
        try:
            first = describe(folder / file).evidence.first_layers
        except TintypeError as error:
            print(f"{file}: {error}")
            continue
        if first is not None:
            yield Case(name, "x/127.5-1", bgr=False, first=first)


def plain_distances(first: FirstLayers, statistics: PatchStatistics) -> dict[str, float]:
    """Median |log variance ratio| + median |mean difference| / std, with nothing fitted."""
    kernel = first.kernel.astype(np.float64)
    scales = [scale for scale in SCALES if scale.fits(kernel.shape[2])]
    bias = np.zeros(kernel.shape[3]) if first.bias is None else first.bias.astype(np.float64)
    graph = (np.ones(kernel.shape[2]), np.zeros(kernel.shape[2]))
    made = response(kernel, bias=bias, statistics=statistics, scales=scales, graph=graph)
    family = statistics.families.index("64 bilinear")
    distances: dict[str, float] = {}
    for row, scale in enumerate(scales):
        mean, variance = made.mean[row], made.variance[row, family]
        if first.rectified:
            mean, variance = rectified(mean, variance, first.ceiling)
        ratio = np.median(np.abs(np.log(np.maximum(first.variance, 1e-12) / variance)))
        shift = np.median(np.abs(first.mean - mean) / np.sqrt(variance))
        name = base_name(scale.name)
        distances[name] = min(distances.get(name, np.inf), float(ratio + shift))
    return distances


def row(case: Case, fit: NormFit | None) -> str:
    """One line of a table."""
    if fit is None:
        return f"| {case.name} | {case.truth} |{'  |' * len(COLUMNS)}  | says nothing |  |"
    told = dict(fit.candidates)
    cells = [f"{told[name]:.2f}" if name in told else "" for name in COLUMNS]
    best = COLUMNS.index(fit.best)
    cells[best] = f"**{cells[best]}**"
    verdict = "right" if fit.best == case.truth else "wrong"
    verdict += ", clear" if fit.confident else ""
    figures = " | ".join(cells)
    told_order = order(case, fit)
    return f"| {case.name} | {case.truth} | {figures} | {fit.gap:.1f} | {verdict} | {told_order} |"


def order(case: Case, fit: NormFit) -> str:
    """The order that was told, and whether it is right."""
    truth = "BGR" if case.bgr else "RGB"
    return "" if fit.order is None else fit.order if fit.order == truth else f"{fit.order}, wrong"


def table(judged: list[tuple[Case, NormFit | None]]) -> list[str]:
    """A table and the sum of it."""
    fits = [(case, fit) for case, fit in judged if fit is not None]
    right = sum(fit.best == case.truth for case, fit in fits)
    clear = [(case, fit) for case, fit in fits if fit.confident]
    clear_right = sum(fit.best == case.truth for case, fit in clear)
    orders = [order(case, fit) for case, fit in fits if fit.order]
    wrong = sum("wrong" in told for told in orders)
    summary = (
        f"{right} of {len(fits)} right; {clear_right} of {len(clear)} clear verdicts right; "
        f"channel order told for {len(orders)}, wrong for {wrong}."
    )
    return [
        summary,
        "",
        f"| network | truth | {' | '.join(HEADS)} | gap | verdict | order |",
        f"| --- | --- |{' --: |' * (len(HEADS) + 1)} --- | --- |",
        *(row(case, fit) for case, fit in judged),
        "",
    ]


def judge(cases: list[Case], colour: PatchStatistics) -> list[tuple[Case, NormFit | None]]:
    """The verdict on each."""
    own = {3: colour, 1: grey(colour)}
    return [
        (case, fit_first_norm(case.first, statistics=own[case.first.kernel.shape[2]]))
        for case in cases
    ]


def plain_sum(cases: list[Case], colour: PatchStatistics) -> str:
    """How the simple distance does on the same networks."""
    own = {3: colour, 1: grey(colour)}
    trained = [case for case in cases if np.any(case.first.mean)]
    right = 0
    for case in trained:
        distances = plain_distances(case.first, own[case.first.kernel.shape[2]])
        right += min(distances, key=distances.__getitem__) == case.truth
    return (
        "The simple distance (median |log variance ratio| plus median |mean difference| in "
        f"standard deviations, nothing fitted) is right for {right} of the same {len(trained)}."
    )


def report(held_out: PatchStatistics) -> list[str]:
    """All tables."""
    paths = sorted(FIXTURES.glob("*.npz"))
    own = [fixture(path) for path in paths]
    others = list(strangers())
    apart = [case for case in map(folded, paths) if case is not None]
    whole = [case for case in others if case.first.mean is not None]
    tied = [case for case in others if case.first.mean is None]
    return [
        "## Networks trained on dogs, judged by cats",
        "",
        *table(judge(own, held_out)),
        plain_sum(own, held_out),
        "",
        "## Models of strangers",
        "",
        *table(judge(whole, patch_statistics(3))),
        "## Models of strangers, normalisation folded into the kernel",
        "",
        *table(judge(tied, patch_statistics(3))),
        "## The same networks trained on dogs, normalisation folded by us",
        "",
        *table(judge(apart, held_out)),
    ]


def main() -> None:
    """Judge and write."""
    parser = argparse.ArgumentParser(description="Write the tables of recipe-evidence.md.")
    parser.add_argument("--statistics", type=Path, help="statistics of cats, made before")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/reference/recipe-evidence.md")
    arguments = parser.parse_args()
    if arguments.statistics is None:
        stream = io.BytesIO()
        np.savez(stream, **measuring.measure("cats", 1))
        stream.seek(0)
        held_out = read_statistics(stream)
    else:
        held_out = read_statistics(arguments.statistics)
    text = arguments.out.read_text("utf-8")
    kept = text[: text.index(MARK) + len(MARK)]
    arguments.out.write_text("\n".join([kept, "", *report(held_out)]), "utf-8")


if __name__ == "__main__":
    main()
