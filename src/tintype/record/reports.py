"""Questions to the record that take a while: accuracy, drift, disagreements.

They are answered by connections that only read, in threads: neither predictions nor feedback wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from tintype.record.accuracy import AccuracyReport, report
from tintype.record.drift import Drift, Sample, drift

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

T = TypeVar("T")

REFERENCE_COUNT: Final = 500
"""As many of the first answers of a version are the reference, where it has no golden set."""

RECENT_COUNT: Final = 500
DISAGREEMENTS: Final = 12


class Reads(Protocol):
    """A ``Recorder``, or what stands for one."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` on a connection of its own, in a thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which judged predictions are counted: those that fit all that is given.

    ``label`` is the right label; ``since_ms`` leaves out what was predicted before.
    """

    model: str | None = None
    version: str | None = None
    label: str | None = None
    since_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A name and version in the record, with the numbers of its rows in ``models``.

    One version has several rows when it was served with other files or recipes.
    """

    name: str
    version: str
    task: str
    ids: tuple[int, ...]
    first_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """An answer that somebody called wrong. ``picture`` is its name if it is kept, else None."""

    prediction_id: str
    at_ms: int
    model: str
    version: str
    answered: str | None
    score: float | None
    right: str | None
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Differed:
    """An answer that a canary in the shadow would not have given; ``said`` is what it said."""

    prediction_id: str
    at_ms: int
    version: str
    answered: str | None
    score: float | None
    canary: str
    said: str | None
    said_score: float | None
    picture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the latest answers are compared with; ``name`` as it is told in words."""

    name: str
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything that the dashboard shows of one model version.

    ``accuracy`` is that of all versions of the model. ``recent`` is None while the record has no
    answer of this version. ``lost``: predictions that were answered and never recorded, by reason.
    """

    accuracy: AccuracyReport
    reference: Reference | None
    recent: Sample | None
    drift: Drift | None
    disagreements: tuple[Disagreement, ...]
    differences: tuple[Differed, ...]
    lost: Mapping[str, int]


async def accuracy(record: Reads, asked: Asked) -> AccuracyReport:
    """The figures of what fits. Raises RecordUnavailable."""

    def work(connection: Connection) -> AccuracyReport:
        from tintype.record import counting  # noqa: PLC0415 - never on the way to ready

        return report(counting.count_judged(connection, asked))

    return await record.read(work)


async def overview(
    record: Reads, *, model: str, version: str, golden: Reference | None
) -> Overview:
    """Everything about one version; without ``golden`` its first answers are the reference.

    Raises RecordUnavailable.
    """

    def work(connection: Connection) -> Overview:
        from tintype.record import counting  # noqa: PLC0415 - never on the way to ready

        known = {(each.name, each.version): each for each in counting.known_models(connection)}
        found = known.get((model, version))
        reference, recent = golden, None
        if found is not None:
            after_ms = None
            if golden is None:
                reference, after_ms = _first_answers(connection, found)
            recent, _ = counting.sample(
                connection, found, count=RECENT_COUNT, newest=True, after_ms=after_ms
            )
        return Overview(
            accuracy=report(counting.count_judged(connection, Asked(model=model))),
            reference=reference,
            recent=recent,
            drift=drift(reference.sample, recent, name=reference.name)
            if reference and recent
            else None,
            disagreements=counting.disagreements(connection, model=model, count=DISAGREEMENTS),
            differences=counting.differences(connection, model=model, count=DISAGREEMENTS),
            lost=counting.lost(connection),
        )

    return await record.read(work)


def _first_answers(connection: Connection, model: KnownModel) -> tuple[Reference, int | None]:
    from tintype.record import counting  # noqa: PLC0415 - never on the way to ready

    # While there are few answers, the first half is compared with the second.
    answers = counting.answers(connection, model, most=2 * REFERENCE_COUNT)
    first, last_ms = counting.sample(connection, model, count=answers // 2, newest=False)
    return Reference(
        name=f"the first {answers // 2} answers of this version", sample=first
    ), last_ms
