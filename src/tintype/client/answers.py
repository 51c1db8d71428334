"""What a call comes back with: the server's own results, or the defaults, always in one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from tintype.types import LabelScore, Point, Prediction, Result, ResultError, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What to answer for a model that does not: labels, best first, or for a detector no boxes.

    The labels have the score 0 and the index -1: nobody has looked at the picture.
    """

    labels: tuple[str, ...] = ()
    task: Task = Task.CLASSIFY


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result for every model and point.

    ``prediction`` is what the server said, None where it said nothing in time: then every result
    is a default, and ``problem`` tells why. A model that failed on the server has its default too,
    and its own ``error``.
    """

    results: tuple[Result, ...]
    prediction: Prediction | None = None
    problem: ResultError | None = None

    def of(self, model: str) -> Result:
        """The first result of a model. Raises KeyError for one that was neither asked nor set."""
        for result in self.results:
            if result.model == model:
                return result
        raise KeyError(model)


def live_answer(prediction: Prediction, *, defaults: Mapping[str, Default]) -> Answer:
    """What the server said, with defaults for models that failed there."""
    results = tuple(_mended(result, defaults) for result in prediction.results)
    return Answer(results=results, prediction=prediction)


def default_answer(
    problem: ResultError,
    *,
    models: tuple[str, ...],
    points: tuple[Point, ...],
    defaults: Mapping[str, Default],
) -> Answer:
    """The defaults of the models asked for; of all that have one, where none was named."""
    results = tuple(
        _filled(
            Result(model=model, version="", task=Task.CLASSIFY, point=point, error=problem),
            defaults.get(model, Default()),
        )
        for model in models or tuple(defaults)
        for point in points or (None,)
    )
    return Answer(results=results, problem=problem)


def _mended(result: Result, defaults: Mapping[str, Default]) -> Result:
    failed = result.error is not None and result.labels is None and result.boxes is None
    return (
        _filled(result, defaults[result.model]) if failed and result.model in defaults else result
    )


def _filled(result: Result, default: Default) -> Result:
    if default.task is Task.DETECT:
        return replace(result, task=Task.DETECT, boxes=(), fallback=True)
    labels = tuple(LabelScore(index=-1, label=label, score=0.0) for label in default.labels)
    return replace(result, labels=labels, fallback=True)
