"""Answers in the place of a model that gave none: not there, failed, or late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tintype.errors import ModelUnavailable, RemoteUnreachable, TintypeError
from tintype.models.card import Card
from tintype.models.info import Health
from tintype.types import LabelScore, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentModel:
    """A model that may be asked for and is not there. ``error`` says why, for any caller to read.

    ``task`` is what its card says; labels, where it says nothing. ``health``: ``UNREACHABLE`` for
    a model on another server, which is asked again and again, else ``FAILED``.
    """

    name: str
    error: TintypeError
    version: str = ""
    task: Task = Task.CLASSIFY
    fallback: tuple[str, ...] = ()
    health: Health = Health.FAILED


def absence_of_remote(card: Card, error: TintypeError) -> AbsentModel:
    """The absence of a model on another server that cannot tell yet what it is, and why not."""
    why = error.message.removeprefix(f"{card.file}: ")  # callers are told of no path
    return replace(
        absence_of(card),
        health=Health.UNREACHABLE,
        error=RemoteUnreachable(
            f"the model {card.name!r} is not served yet: {why}",
            hint="it is asked for again and again, and served as soon as it is there",
        ),
    )


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
