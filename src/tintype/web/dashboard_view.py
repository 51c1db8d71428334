"""What the dashboard's template is filled with: plain values, no HTTP and no database."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tintype.live import STEP_SECONDS, Live
from tintype.models.info import ModelInfo
from tintype.record.accuracy import Share, share
from tintype.record.drift import FEWEST, Drift, Sample
from tintype.record.outcomes import SCORE_EDGES
from tintype.record.reports import Differed, Disagreement, Overview, Reference
from tintype.record.values import RecordCounts
from tintype.web.figures import Figures, figures
from tintype.web.plots import Level, Plot, columns

_MIX_ROWS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """The last minutes: numbers, and answers a second as columns."""

    live: Live
    minutes: str
    rates: Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRow:
    """One label's share of the answers, now and in the reference (None: there is none)."""

    label: str
    now: Share
    was: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The commonest labels; ``more`` are not shown."""

    rows: tuple[MixRow, ...]
    more: int
    count: int
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisagreementRow:
    """One answer that somebody called wrong; ``thumbnail`` is a data URL, empty without one."""

    it: Disagreement
    at: str
    thumbnail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """One answer that the canary would not have given; ``thumbnail`` as above."""

    it: Differed
    at: str
    thumbnail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """What the record has of one model version."""

    figures: Figures
    scores: Plot | None
    mix: Mix | None
    drift: Drift | None
    drift_words: str
    disagreements: tuple[DisagreementRow, ...]
    differences: tuple[DifferenceRow, ...]
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The whole page. ``record`` is None where nothing is recorded, or it cannot be read now.

    Of the ``processes`` that serve, ``silent`` did not tell their part of ``live`` and ``counts``.
    """

    models: tuple[ModelInfo, ...]
    model: ModelInfo | None
    live: LiveView | None
    record: RecordView | None
    counts: RecordCounts | None
    processes: int
    silent: int
    problem: str
    at: str


def live_view(live: Live) -> LiveView:
    """The window as numbers and a plot."""
    number = len(live.steps)
    levels = [
        Level(
            name=_ago((number - index - 1) * STEP_SECONDS),
            value=(step.answered + step.refused) / STEP_SECONDS,
            part=step.answered / STEP_SECONDS,
            title=f"{_ago((number - index - 1) * STEP_SECONDS)}: {step.answered} answered, "
            f"{step.refused} refused in {STEP_SECONDS} seconds",
        )
        for index, step in enumerate(live.steps)
    ]
    return LiveView(
        live=live,
        minutes=_duration(live.seconds),
        rates=columns(
            levels,
            words=f"Requests a second over the last minutes: {live.answered} answered, "
            f"{live.refused} refused",
        ),
    )


def record_view(told: Overview, *, thumbnails: Mapping[str, str]) -> RecordView:
    """Figures, plots and words out of what the record tells.

    ``thumbnails``: data URLs of kept pictures, by their names in the record.
    """
    return RecordView(
        figures=figures(told.accuracy),
        scores=_scores(told.recent) if told.recent and told.recent.labels else None,
        mix=_mix(told.recent, told.reference) if told.recent and told.recent.labels else None,
        drift=told.drift,
        drift_words=_drift_words(told.drift),
        disagreements=tuple(
            DisagreementRow(
                it=each,
                at=shown_time(each.at_ms),
                thumbnail=thumbnails.get(each.picture or "", ""),
            )
            for each in told.disagreements
        ),
        differences=tuple(
            DifferenceRow(
                it=each,
                at=shown_time(each.at_ms),
                thumbnail=thumbnails.get(each.picture or "", ""),
            )
            for each in told.differences
        ),
        lost=sum(told.lost.values()),
    )


def shown_time(at_ms: int) -> str:
    """A time for people, in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%d %b %Y %H:%M} UTC"


def _scores(recent: Sample) -> Plot:
    scores = [score for score in recent.measures.get("score", ()) if score is not None]
    counts = [0] * (len(SCORE_EDGES) + 1)
    for score in scores:
        counts[bisect_left(SCORE_EDGES, score)] += 1
    return columns(
        [
            Level(
                name=f"{number * 10}-{number * 10 + 10} %",
                value=count,
                part=count,
                title=f"score {number / 10:.1f} to {number / 10 + 0.1:.1f}: {count} answers",
            )
            for number, count in enumerate(counts)
        ],
        words=f"Scores of the first label in the last {len(scores)} answers",
    )


def _mix(recent: Sample, reference: Reference | None) -> Mix:
    now, total = recent.labels, sum(recent.labels.values())
    was: Mapping[str, int] = reference.sample.labels if reference else {}
    was_total = sum(was.values())
    names = sorted({*now, *was}, key=lambda name: (-now.get(name, 0), -was.get(name, 0), name))
    return Mix(
        rows=tuple(
            MixRow(
                label=name,
                now=share(now.get(name, 0), total),
                was=share(was.get(name, 0), was_total) if was_total else None,
            )
            for name in names[:_MIX_ROWS]
        ),
        more=max(0, len(names) - _MIX_ROWS),
        count=total,
        reference=reference.name if reference and was_total else "",
    )


def _drift_words(drift: Drift | None) -> str:
    if drift is None:
        return "No answer of this version is in the record yet."
    if not drift.enough:
        answers = "1 answer" if drift.recent_count == 1 else f"{drift.recent_count} answers"
        return (
            f"Too little to say: {answers} to compare with "
            f"{drift.reference}; {FEWEST} on both sides are needed."
        )
    if not drift.told:
        return (
            f"The last {drift.recent_count} answers are like {drift.reference}: "
            "pictures, scores and labels show no change beyond chance."
        )
    return f"The last {drift.recent_count} answers differ from {drift.reference}:"


def _ago(seconds: int) -> str:
    return "now" if seconds == 0 else f"-{seconds // 60}:{seconds % 60:02}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def chosen(models: Sequence[ModelInfo], name: str | None) -> ModelInfo | None:
    """The model that is shown: the one asked for, else the first."""
    return next((each for each in models if name in {None, each.name}), None)
