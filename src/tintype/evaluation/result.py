"""What an evaluation comes to. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tintype.evaluation.folder import LabelledFolder
from tintype.evaluation.run import Examined
from tintype.record.accuracy import AccuracyReport, report
from tintype.record.outcomes import Outcome, count, outcome_of
from tintype.types import LabelScore, name_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The model, and the largest N for which top N is told."""

    model: str
    version: str
    title: str
    file: str
    engine: str
    labels: tuple[str, ...]
    top: int

    @property
    def tops(self) -> tuple[int, ...]:
        """The N for which top N is told: 1, and others that leave some label out."""
        return tuple(sorted({1} | {n for n in (3, 5, self.top) if n < len(self.labels)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The report on a labelled folder, with every picture behind it."""

    subject: Subject
    folder: LabelledFolder
    report: AccuracyReport
    examined: tuple[Examined, ...]
    seconds: float

    @property
    def unread(self) -> tuple[Examined, ...]:
        """Pictures that got no answer."""
        return tuple(each for each in self.examined if each.error is not None)

    @property
    def mistakes(self) -> tuple[Examined, ...]:
        """Wrong answers, those the model was surest of first."""
        wrong = [each for each in self.examined if each.error is None and not each.correct]
        return tuple(sorted(wrong, key=lambda each: -each.labels[0].score if each.labels else 0))


def evaluation(
    subject: Subject, folder: LabelledFolder, examined: Sequence[Examined], *, seconds: float
) -> Evaluation:
    """Count what was found and make the report of it."""
    outcomes = [_outcome(subject, each) for each in examined if each.error is None]
    counts = replace(
        count(outcomes, tops=subject.tops), weeks={}
    )  # all of them were asked just now
    return Evaluation(
        subject=subject,
        folder=folder,
        report=report(counts),
        examined=tuple(examined),
        seconds=seconds,
    )


def _outcome(subject: Subject, each: Examined) -> Outcome:
    return outcome_of(
        each.labels, right=each.right, model=subject.model, version=subject.version, at_ms=0
    )


def evaluation_body(done: Evaluation) -> dict[str, object]:
    """The evaluation as one JSON object."""
    return {
        "model": done.subject.model,
        "version": done.subject.version,
        "folder": name_text(str(done.folder.path)),
        "pictures": len(done.examined),
        "seconds": done.seconds,
        "folders": done.folder.matches,
        "skipped": done.folder.skipped,
        "report": done.report,
        "mistakes": [_picture_body(each) for each in done.mistakes],
        "unread": [
            {"file": name_text(str(each.file)), "right": each.right, "error": each.error}
            for each in done.unread
        ],
    }


def _picture_body(each: Examined) -> dict[str, object]:
    best = _best(each)
    return {
        "file": name_text(str(each.file)),
        "right": each.right,
        "answered": best.label if best else None,
        "score": best.score if best else None,
        "score_of_right": _score_of_right(each),
    }


COLUMNS = ("file", "right", "answered", "score", "correct", "rank", "score_of_right", "error")


def evaluation_csv(done: Evaluation) -> str:
    """A line a picture, with the columns ``COLUMNS`` (RFC 4180)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for each in done.examined:
        best, names = _best(each), [one.label for one in each.labels]
        writer.writerow(
            [
                name_text(str(each.file)),
                each.right,
                best.label if best else "",
                best.score if best else "",
                "" if each.error else str(each.correct).lower(),
                names.index(each.right) + 1 if each.right in names else "",
                _score_of_right(each) if each.right in names else "",
                each.error.detail if each.error else "",
            ]
        )
    return text.getvalue()


def _best(each: Examined) -> LabelScore | None:
    return each.labels[0] if each.labels else None


def _score_of_right(each: Examined) -> float | None:
    return next((one.score for one in each.labels if one.label == each.right), None)
