"""What is said between a front that takes pictures and the models that run elsewhere.

The picture's bytes travel as they came; beside them a question, and back a reply, in MessagePack.
A field that one side does not know yet is passed over, so both may be replaced one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from tintype.errors import TintypeError
from tintype.predict.request import PredictRequest
from tintype.types import Explain, Point, Prediction


class FarQuestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked about a picture. ``seconds``: the time left; clocks differ, durations do not.

    ``models`` are versions, as ``pets@2``.
    """

    models: tuple[str, ...]
    points: tuple[Point, ...] = ()
    top: int | None = None
    threshold: float | None = None
    explain: tuple[Explain, ...] = ()
    seconds: float | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of our errors: the slug of its class, and what it says."""

    type: str
    message: str
    hint: str | None = None
    facts: dict[str, str | int | float] = {}


class FarReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The prediction, or why there is none."""

    prediction: Prediction | None = None
    failure: Failure | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_question = msgspec.msgpack.Decoder(FarQuestion).decode
_decode_reply = msgspec.msgpack.Decoder(FarReply).decode


def question_bytes(request: PredictRequest, models: tuple[str, ...], *, seconds: float) -> bytes:
    """What is asked of ``models`` for this request, without its picture."""
    return _encode(
        FarQuestion(
            models=models,
            points=request.points,
            top=request.top,
            threshold=request.threshold,
            explain=tuple(request.explain),
            seconds=seconds,
        )
    )


def read_question(question: bytes, image: bytes) -> PredictRequest:
    """The request that was asked elsewhere, with its picture."""
    asked = _decode_question(question)
    return PredictRequest(
        image=image,
        models=asked.models,
        points=asked.points,
        top=asked.top,
        threshold=asked.threshold,
        explain=frozenset(asked.explain),
        seconds=asked.seconds,
    )


def reply_bytes(outcome: Prediction | TintypeError) -> bytes:
    """An answer or a refusal on its way back."""
    if isinstance(outcome, Prediction):
        return _encode(FarReply(prediction=outcome))
    failure = Failure(
        type=outcome.type, message=outcome.message, hint=outcome.hint, facts={**outcome.facts}
    )
    return _encode(FarReply(failure=failure))


def read_reply(reply: bytes) -> Prediction | TintypeError:
    """The answer, or the error as it was raised there."""
    read = _decode_reply(reply)
    if read.prediction is not None:
        return read.prediction
    failure = read.failure or Failure(type="error", message="the reply is empty")
    return error_of(failure.type, failure.message, hint=failure.hint, facts=failure.facts)


def error_of(
    slug: str,
    message: str,
    *,
    hint: str | None = None,
    facts: Mapping[str, str | int | float] | None = None,
) -> TintypeError:
    """The error whose class has this slug; a plain one where none has."""
    return _CLASSES.get(slug, TintypeError)(message, hint=hint, **(facts or {}))


def _with_children(cls: type[TintypeError]) -> Iterator[type[TintypeError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _with_children(child)


_CLASSES = {cls.type: cls for cls in _with_children(TintypeError)}
