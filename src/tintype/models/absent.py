"""Answers in the place of a model that gave none: not there, failed, or late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tintype.errors import ModelUnavailable, TintypeError
from tintype.models.card import Card
from tintype.types import LabelScore, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentModel:
    """A model that may be asked for and is not there. ``error`` says why, for any caller to read.

    ``task`` is what its card says; labels, where it says nothing.
    """

    name: str
    error: TintypeError
    version: str = ""
    task: Task = Task.CLASSIFY
    fallback: tuple[str, ...] = ()


def absence_of(card: Card) -> AbsentModel:
    """The absence of a model that could not be loaded. Why is for the log: it names paths."""
    return AbsentModel(
        name=card.name,
        version=card.version,
        task=card.task or Task.CLASSIFY,
        fallback=card.fallback,
        error=ModelUnavailable(
            f"the model {card.name!r} could not be loaded",
            hint="what the server printed when it started says why",
        ),
    )


def fallback_labels(
    fallback: Sequence[str], *, labels: Sequence[str]
) -> tuple[LabelScore, ...] | None:
    """Fallback labels in the form of an answer, None without any.

    The score is 0: nothing was looked at. ``index`` is the place in the model's own ``labels``,
    -1 for a label that is none of them.
    """
    if not fallback:
        return None
    places = {label: index for index, label in enumerate(labels)}
    return tuple(
        LabelScore(index=places.get(label, -1), label=label, score=0.0) for label in fallback
    )
