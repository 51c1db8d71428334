"""Answers beside what is right, and how they are counted."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeVar

from tintype.types import LabelScore

Key = TypeVar("Key", bound=Hashable)

SCORE_EDGES: Final = tuple(edge / 10 for edge in range(1, 10))
"""Where one bin of scores ends and the next begins; a score on an edge belongs below it."""

WEEK_MS: Final = 7 * 24 * 3600 * 1000
FIRST_MONDAY_MS: Final = 4 * 24 * 3600 * 1000
"""Monday the 5th of January 1970: weeks are counted from there, in UTC, as in ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One answer of a classifier beside what is right.

    ``right``: the right label, None where a person said only that the answer is wrong.
    ``answered`` and ``score`` (0..1): the first label of the answer, None where it had none.
    ``rank``: the place of the right label in the answer, from 1, None where it is not in it.
    ``listed``: how many labels the answer had. ``at_ms``: milliseconds since 1970, UTC.
    """

    model: str
    version: str
    at_ms: int
    right: str | None
    answered: str | None
    score: float | None
    rank: int | None
    listed: int

    @property
    def correct(self) -> bool:
        """Whether the first label is the right one."""
        return self.rank == 1


def outcome_of(
    ranked: Sequence[LabelScore], *, right: str, model: str, version: str, at_ms: int
) -> Outcome:
    """Judge an answer (labels, best first) by the right label."""
    names = [each.label for each in ranked]
    return Outcome(
        model=model,
        version=version,
        at_ms=at_ms,
        right=right,
        answered=names[0] if names else None,
        score=ranked[0].score if ranked else None,
        rank=names.index(right) + 1 if right in names else None,
        listed=len(names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """``right`` of ``judged`` predictions were right."""

    right: int
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBin:
    """Answers whose score lies in (``low``, ``high``]: how many, their scores' sum, how many right.

    The lowest bin takes 0 too.
    """

    low: float
    high: float
    judged: int
    score_sum: float
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Everything that figures are made of, however it was counted: here, or by a database.

    ``top``: for each N, the hits where the right label was among the first N; only answers with N
    labels or more count, and only where the right label is known. ``confusion``: how often each
    pair (right label, first label answered) came; ``None`` is an answer without a label.
    ``weeks``: by Monday. ``versions``: by model and version.
    """

    hits: Hits
    top: Mapping[int, Hits] = field(default_factory=dict)
    confusion: Mapping[tuple[str, str | None], int] = field(default_factory=dict)
    bins: tuple[ScoreBin, ...] = ()
    weeks: Mapping[date, Hits] = field(default_factory=dict)
    versions: Mapping[tuple[str, str], Hits] = field(default_factory=dict)


def count(outcomes: Sequence[Outcome], *, tops: Iterable[int] = (1, 5)) -> Counts:
    """Count outcomes, with the share among the first N for each of ``tops``."""
    return Counts(
        hits=_hits(outcomes),
        top={n: _top(outcomes, n) for n in tops},
        confusion=Counter(
            (each.right, each.answered) for each in outcomes if each.right is not None
        ),
        bins=_bins(outcomes),
        weeks=_hits_by(outcomes, lambda each: week_of(each.at_ms)),
        versions=_hits_by(outcomes, lambda each: (each.model, each.version)),
    )


def week_of(at_ms: int) -> date:
    """The Monday of the week, in UTC."""
    return week_begins((at_ms - FIRST_MONDAY_MS) // WEEK_MS)


def week_begins(number: int) -> date:
    """The Monday of a week by its number, counted from ``FIRST_MONDAY_MS``."""
    begins = FIRST_MONDAY_MS + number * WEEK_MS
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=begins)).date()


def score_bin(number: int, *, judged: int, score_sum: float, right: int) -> ScoreBin:
    """A bin by its number, 0..9."""
    edges = (0.0, *SCORE_EDGES, 1.0)
    return ScoreBin(
        low=edges[number],
        high=edges[number + 1],
        judged=judged,
        score_sum=score_sum,
        right=right,
    )


def _hits(outcomes: Sequence[Outcome]) -> Hits:
    return Hits(right=sum(each.correct for each in outcomes), judged=len(outcomes))


def _hits_by(outcomes: Sequence[Outcome], key: Callable[[Outcome], Key]) -> dict[Key, Hits]:
    groups: dict[Key, list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault(key(each), []).append(each)
    return {name: _hits(group) for name, group in groups.items()}


def _top(outcomes: Sequence[Outcome], n: int) -> Hits:
    known = [each for each in outcomes if each.right is not None and each.listed >= n]
    right = sum(each.rank is not None and each.rank <= n for each in known)
    return Hits(right=right, judged=len(known))


def _bins(outcomes: Sequence[Outcome]) -> tuple[ScoreBin, ...]:
    found: dict[int, list[tuple[float, bool]]] = {}
    for each in outcomes:
        if each.score is not None:
            number = bisect_left(SCORE_EDGES, each.score)
            found.setdefault(number, []).append((each.score, each.correct))
    return tuple(
        score_bin(
            number,
            judged=len(pairs),
            score_sum=sum(score for score, _ in pairs),
            right=sum(correct for _, correct in pairs),
        )
        for number, pairs in sorted(found.items())
    )
