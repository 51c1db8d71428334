"""What a person's words mean for one result: which is meant, and whether it was right. Pure."""

from __future__ import annotations

import difflib

from tintype.errors import MalformedRequest
from tintype.record.values import Judged, Kind, RecordedPrediction, RecordedResult, Said
from tintype.types import Task

_SHOWN = 80


def meant(prediction: RecordedPrediction, said: Said) -> RecordedResult:
    """The one result that is spoken of. Raises MalformedRequest when none or several fit."""
    fitting = [
        result
        for result in prediction.results
        if said.model in {None, result.model} and said.point in {None, result.point}
    ]
    if len(fitting) == 1:
        return fitting[0]
    have = ", ".join(dict.fromkeys(result.model for result in prediction.results))
    if not fitting:
        raise MalformedRequest(
            f"this prediction has no such result; its models are: {have}",
            hint="give model as in the prediction, and x and y as in its points",
        )
    raise MalformedRequest(
        f"this prediction has {len(fitting)} results that may be meant",
        hint=f"name one: model ({have}), and with several points x and y",
    )


def judge(result: RecordedResult, said: Said, *, labels: tuple[str, ...]) -> Judged:
    """Whether the result was right, out of what was said and the ``labels`` its model knows.

    Raises MalformedRequest for a label that the model does not know, a choice that was not in the
    answer, and for anything but exactly one of ``correct``, ``label`` and ``picked``.
    """
    given = [kind for kind in Kind if getattr(said, kind) is not None]
    if len(given) != 1:
        raise MalformedRequest(
            f"{' and '.join(given) or 'nothing'} is given, expected one of {', '.join(Kind)}",
            hint='{"correct": true}, {"label": "dog"} or {"picked": "dog"}',
        )
    if said.correct is not None:
        return _said_correct(result, correct=said.correct)
    if result.task == Task.DETECT:
        raise MalformedRequest(
            "boxes can be judged right or wrong as a whole, not by a label",
            hint='{"correct": true} or {"correct": false}',
        )
    answered = tuple(each.label for each in result.labels or ())
    label = said.label if said.picked is None else said.picked
    assert label is not None  # noqa: S101 - one of the two is given
    known = answered if said.label is None else (labels or answered)
    if label not in known:
        raise _unknown(label, known, kind=given[0])
    rank = answered.index(label) + 1 if label in answered else None
    return Judged(kind=given[0], correct=rank == 1, right_label=label, rank=rank)


def _said_correct(result: RecordedResult, *, correct: bool) -> Judged:
    best = next(iter(result.labels or ()), None)
    if correct and not (result.labels or result.boxes is not None):
        raise MalformedRequest(
            "this result has no label that could be right",
            hint="say which is the right one: label",
        )
    right = best.label if correct and best else None
    return Judged(
        kind=Kind.CORRECT,
        correct=correct,
        right_label=right,
        rank=1 if right is not None else None,
    )


def _unknown(label: str, known: tuple[str, ...], *, kind: Kind) -> MalformedRequest:
    whose = "one of the labels answered" if kind is Kind.PICKED else "a label of this model"
    near = difflib.get_close_matches(label[:_SHOWN], known, n=1, cutoff=0.5)
    more = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
    return MalformedRequest(
        f"{label[:_SHOWN]!r} is not {whose}",
        hint=f"did you mean {near[0]!r}?" if near else f"known are {more}" if known else None,
    )
