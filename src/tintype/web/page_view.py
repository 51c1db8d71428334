"""What the page's templates are filled with: plain values made of predictions. No HTTP here."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, urlencode

from tintype.models.info import ModelInfo
from tintype.record.values import Judged
from tintype.types import Point, Prediction, Result
from tintype.web.options import Options

_LARGEST_SHOWN_BACK: Final = 8 << 20
_MEDIA: Final = {
    "jpeg": "jpeg",
    "mpo": "jpeg",
    "png": "png",
    "gif": "gif",
    "webp": "webp",
    "bmp": "bmp",
}
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the form shows as chosen."""

    models: tuple[str, ...] = ()
    x: str = ""
    y: str = ""
    top: str = ""
    threshold: str = ""
    explain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One result with what is known of its model, nothing of one that is not there.

    ``key`` tells cards of one answer apart.
    """

    key: str
    title: str
    result: Result
    info: ModelInfo | None
    summary: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The form that says whether a result was right.

    ``labels``: what may be chosen as the right one, empty for boxes. ``words``: what was said
    before, or what was wrong with it (``failed``).
    """

    id: str
    key: str
    model: str
    point: Point | None
    labels: tuple[str, ...]
    words: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A prediction as the page shows it. ``picture`` is a data URL, empty when not wanted."""

    prediction: Prediction
    cards: tuple[Card, ...]
    name: str
    bytes: int
    curl: str
    picture: str
    summary: str


def choices_of(options: Options) -> Choices:
    """The form's fields as they were sent."""
    point = options.points[0] if options.points else None
    return Choices(
        models=options.models,
        x=f"{point.x:g}" if point else "",
        y=f"{point.y:g}" if point else "",
        top="" if options.top is None else str(options.top),
        threshold="" if options.threshold is None else f"{options.threshold:g}",
        explain=bool(options.explain),
    )


def answer_of(  # noqa: PLR0913 - what the template shows
    prediction: Prediction,
    *,
    infos: Sequence[ModelInfo],
    image: bytes,
    name: str,
    curl: str,
    recorded: bool,
) -> Answer:
    """Everything the answer's template shows, without the picture itself.

    ``recorded``: the prediction can be judged.
    """
    by_name = {info.name: info for info in infos}
    cards = tuple(
        Card(
            key="_".join(f"{result.model}-{index}".split()),  # an id has no spaces
            title=_title(by_name.get(result.model), result),
            result=result,
            info=by_name.get(result.model),
            summary=summary_of(result),
            verdict=_verdict(prediction, result, by_name.get(result.model)) if recorded else None,
        )
        for index, result in enumerate(prediction.results)
    )
    return Answer(
        prediction=prediction,
        cards=cards,
        name=name,
        bytes=len(image),
        curl=curl,
        picture="",
        summary="; ".join(f"{card.title}: {card.summary}" for card in cards),
    )


def _title(info: ModelInfo | None, result: Result) -> str:
    return (info.title or info.name) if info else result.model


def _verdict(prediction: Prediction, result: Result, info: ModelInfo | None) -> Verdict | None:
    """The form for one result; none where the model failed: its fallback is no answer."""
    if result.error is not None or info is None:
        return None
    labels = info.labels if result.boxes is None else ()
    return verdict_of(prediction.id, model=info.name, point=result.point, labels=labels)


def verdict_of(  # noqa: PLR0913 - the fields of the form
    prediction_id: str,
    *,
    model: str,
    point: Point | None,
    labels: tuple[str, ...],
    words: str = "",
    failed: bool = False,
) -> Verdict:
    """The form that says whether a result was right."""
    place = f"{point.x:g}-{point.y:g}" if point else "whole"
    return Verdict(
        id=prediction_id,
        key="_".join(f"{model}-{place}".split()),
        model=model,
        point=point,
        labels=labels,
        words=words,
        failed=failed,
    )


def words_of(judged: Judged | None) -> str:
    """What was said of a result, as a short sentence; empty where nothing was."""
    if judged is None:
        return ""
    if judged.correct:
        return "Noted: it was right."
    if judged.right_label is not None:
        return f"Noted: it is {judged.right_label}."
    return "Noted: it was wrong."


def summary_of(result: Result) -> str:
    """One result in a few words, for a screen reader."""
    if result.error is not None:
        return f"no answer, {result.error.detail}"
    if result.boxes is not None:
        found = ", ".join(box.label for box in result.boxes[:5])
        return f"{len(result.boxes)} found: {found}" if result.boxes else "nothing found"
    if not result.labels:
        return "no label above the threshold"
    best = result.labels[0]
    return f"{best.label}, {best.score * 100:.0f} percent"


def picture_url(image: bytes, *, kind: str) -> str:
    """The picture as a data URL, for the page without scripts; empty when it is very large."""
    media = _MEDIA.get(kind)
    if media is None or len(image) > _LARGEST_SHOWN_BACK:
        return ""
    return f"data:image/{media};base64,{base64.b64encode(image).decode()}"


def file_name(told: str) -> str:
    """The last part of the name that a client told, short and printable, for show only."""
    name = PurePosixPath(told.replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable())
    return name[-_LONGEST_NAME:].lstrip("-@") or "picture.jpg"


def curl_line(base: str, options: Options, *, name: str) -> str:
    """The same request as a line for a shell (POSIX quoting)."""
    pairs: list[tuple[str, str]] = [("model", model) for model in options.models]
    pairs += _point_pairs(options.points)
    if options.top is not None:
        pairs.append(("top", str(options.top)))
    if options.threshold is not None:
        pairs.append(("threshold", f"{options.threshold:g}"))
    pairs += [("explain", word) for word in sorted(options.explain)]
    query = f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""
    return (
        f"curl --data-binary {shlex.quote('@' + name)} {shlex.quote(base + '/api/predict' + query)}"
    )


def _point_pairs(points: tuple[Point, ...]) -> list[tuple[str, str]]:
    if len(points) == 1:
        return [("x", f"{points[0].x:g}"), ("y", f"{points[0].y:g}")]
    if points:
        return [("points", ";".join(f"{point.x:g},{point.y:g}" for point in points))]
    return []


def samples_of(names: Mapping[str, object]) -> list[dict[str, str]]:
    """Sample pictures with words for those who cannot see them."""
    return [
        {"name": name, "title": PurePosixPath(name).stem.replace("-", " ").replace("_", " ")}
        for name in names
    ]
