"""An evaluation in words, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tintype.evaluation.folder import LabelledFolder
from tintype.evaluation.result import Evaluation
from tintype.evaluation.run import Examined
from tintype.record.accuracy import AccuracyReport, ClassFigures, Share
from tintype.types import name_text

_MOST_CLASSES: Final = 20
_MOST_MISTAKES: Final = 10
_MOST_UNREAD: Final = 20
_MATRIX_LABELS: Final = 8


def start_lines(folder: LabelledFolder) -> Iterator[str]:
    """What the folders were taken for, and what is left out."""
    yield f"{folder.path}: {len(folder.pictures)} files in {len(folder.matches)} folders"
    for match in folder.matches:
        if match.how:
            yield f"  folder  {name_text(match.folder)!r} is the label {match.label!r}, {match.how}"
    for skipped in folder.skipped:
        where = f"in the folder {name_text(skipped.folder)!r}" if skipped.folder else "beside them"
        yield f"  skipped {_files(skipped.files)} {where}"


def result_lines(done: Evaluation) -> Iterator[str]:
    """The whole report."""
    told = done.report
    speed = len(done.examined) / done.seconds if done.seconds else 0.0
    yield f"accuracy  {share_words(told.accuracy)}"
    for each in told.top:
        if each.n > 1:
            yield f"top {each.n:<5} {share_words(each.share)}"
    yield from _averages(told)
    yield from _calibration(told)
    yield f"speed     {len(done.examined)} pictures in {done.seconds:.1f} s, {speed:.0f} a second"
    yield ""
    yield from _class_lines(told.classes)
    yield from _matrix_lines(told)
    yield from _mistake_lines(done)
    yield from _unread_lines(done)


def share_words(share: Share) -> str:
    """``89.4 % (177 of 198; 95 % interval 84.3 to 93.0 %)``."""
    if share.value is None:
        return "nothing to judge"
    return (
        f"{share.value * 100:.1f} % ({share.right} of {share.judged}; "
        f"95 % interval {share.low * 100:.1f} to {share.high * 100:.1f} %)"
    )


def _averages(told: AccuracyReport) -> Iterator[str]:
    if told.balanced_accuracy is not None and told.macro_f1 is not None:
        mean = f"{told.balanced_accuracy * 100:.1f} % mean recall"
        yield f"balanced  {mean}, {told.macro_f1:.3f} macro F1"


def _calibration(told: AccuracyReport) -> Iterator[str]:
    calibration = told.calibration
    if calibration.error is None or calibration.bias is None:
        return
    sure = "surer than it should be" if calibration.bias > 0 else "less sure than it could be"
    yield (
        f"scores    {calibration.error * 100:.1f} points from the share that is right (ECE); "
        f"on the whole {abs(calibration.bias) * 100:.1f} points {sure}"
    )


def _class_lines(classes: tuple[ClassFigures, ...]) -> Iterator[str]:
    worst = sorted(
        classes, key=lambda each: 1.0 if each.recall.value is None else each.recall.value
    )
    shown = worst[:_MOST_CLASSES]
    width = max((len(each.label) for each in shown), default=0)
    rest = len(classes) - len(shown)
    note = f"  (the {len(shown)} with the lowest recall; {rest} more)" if rest else ""
    yield f"{'label':{width}}  pictures  recall  precision  F1{note}"
    for each in shown:
        f1 = "    -" if each.f1 is None else f"{each.f1:.3f}"
        yield (
            f"{each.label:{width}}  {each.recall.judged:8}  {_percent(each.recall):>6}  "
            f"{_percent(each.precision):>9}  {f1}"
        )


def _percent(share: Share) -> str:
    return "-" if share.value is None else f"{share.value * 100:.1f} %"


def _matrix_lines(told: AccuracyReport) -> Iterator[str]:
    """The confusion matrix of few labels; of many, the commonest mistakes."""
    names = [each.label for each in told.classes]
    yield ""
    if len(names) > _MATRIX_LABELS:
        yield "commonest mistakes"
        wrong = [each for each in told.confusion if each.right != each.answered]
        for each in wrong[:_MOST_MISTAKES]:
            yield f"  {each.count:5}  {each.right} answered as {each.answered or 'nothing'}"
        return
    counts = {(each.right, each.answered): each.count for each in told.confusion}
    width = max((len(name) for name in names), default=0)
    columns = [max(len(name), 5) for name in names]
    heads = "  ".join(f"{name:>{size}}" for name, size in zip(names, columns, strict=True))
    yield f"{'right':{width}}  {heads}  (answered)"
    for name in names:
        cells = "  ".join(
            f"{counts.get((name, other), 0):{size}}"
            for other, size in zip(names, columns, strict=True)
        )
        yield f"{name:{width}}  {cells}"


def _mistake_lines(done: Evaluation) -> Iterator[str]:
    shown = done.mistakes[:_MOST_MISTAKES]
    if not shown:
        return
    more = len(done.mistakes) - len(shown)
    yield ""
    yield "surest mistakes" + (f" ({more} more in the report: --report, --json)" if more else "")
    for each in shown:
        answered = (
            f"{each.labels[0].score:.3f} {each.labels[0].label}" if each.labels else "nothing"
        )
        yield f"  {_name(each, done)}: {answered}, is {each.right}"


def _unread_lines(done: Evaluation) -> Iterator[str]:
    unread = done.unread
    if not unread:
        return
    yield ""
    yield f"no answer for {_files(len(unread))}, left out of the figures"
    for each in unread[:_MOST_UNREAD]:
        yield f"  {_name(each, done)}: {each.error.detail if each.error else ''}"
    if len(unread) > _MOST_UNREAD:
        yield f"  and {len(unread) - _MOST_UNREAD} more"


def _name(each: Examined, done: Evaluation) -> str:
    return name_text(str(each.file.relative_to(done.folder.path)))


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
