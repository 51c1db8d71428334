"""Options of a prediction: the same names as query, form field or JSON key.

A value is text (query, form) or a JSON value. An empty text means not given, because a form
cannot leave a field out.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import msgspec
from msgspec import Struct

from tintype.errors import MalformedRequest
from tintype.types import Explain, Point

Pairs: TypeAlias = Iterable[tuple[str, object]]
"""Option names with their values, in the order they came; a name may come again."""

OPTION_NAMES: Final = ("model", "x", "y", "points", "top", "threshold", "explain")
PICTURE_NAMES: Final = ("image", "images", "file", "path", "url")
_MAX_COORDINATE: Final = 1e6
_MAX_TOP: Final = 100_000
_MAX_MODELS: Final = 64


class Options(Struct, frozen=True, kw_only=True):
    """What a caller asked, checked. Empty and ``None`` mean not given."""

    models: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    top: int | None = None
    threshold: float | None = None
    explain: frozenset[Explain] = frozenset()


_NOTHING: Final = Options()


def read_options(pairs: Pairs, *, max_points: int) -> Options:
    """Check every option. Raises MalformedRequest: unknown, given twice or out of range."""
    given = _gather(pairs)
    if not given:
        return _NOTHING
    point = _point(given)
    points = _points(given.get("points", []), most=max_points)
    if point and points:
        raise MalformedRequest("both x, y and points are given", hint="put the point into points")
    return Options(
        models=_models(given.get("model", [])),
        points=point or points,
        top=_single(given, "top", _top),
        threshold=_single(given, "threshold", _threshold),
        explain=_explain(given.get("explain", [])),
    )


def _gather(pairs: Pairs) -> dict[str, list[object]]:
    given: dict[str, list[object]] = {}
    for name, value in pairs:
        if name in PICTURE_NAMES:
            raise MalformedRequest(
                f"{name!r} is not expected here",
                hint="JSON for /api/predict has image, for /api/predict/batch images",
            )
        if name not in OPTION_NAMES:
            refuse_name(name, known=OPTION_NAMES)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            given.setdefault(name, []).append(value)
    return given


def refuse_name(name: str, *, known: tuple[str, ...]) -> NoReturn:
    """Refuse an unknown name with the nearest known one. Raises MalformedRequest."""
    near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.5)
    raise MalformedRequest(
        f"unknown option {name[:64]!r}",
        hint=f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}",
    )


def _single(
    given: Mapping[str, list[object]], name: str, check: Callable[[float], Any]
) -> Any | None:
    values = given.get(name, [])
    if len(values) > 1:
        raise MalformedRequest(f"{name} is given {len(values)} times, expected once")
    return check(_number(name, values[0])) if values else None


def _number(name: str, value: object) -> float:
    """A finite number from a JSON number or from text in plain decimal or scientific notation."""
    number = math.nan
    if isinstance(value, str) and len(value) <= 40 and value.isascii() and "_" not in value:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        number = float(value)
    if not math.isfinite(number):
        raise MalformedRequest(f"{name} is {_shown(value)}, expected a number")
    return number


def _point(given: Mapping[str, list[object]]) -> tuple[Point, ...]:
    x = _single(given, "x", lambda number: _coordinate("x", number))
    y = _single(given, "y", lambda number: _coordinate("y", number))
    if x is None and y is None:
        return ()
    if x is None or y is None:
        have, lack = ("y", "x") if x is None else ("x", "y")
        raise MalformedRequest(f"{have} is given without {lack}", hint="a point needs both")
    return (Point(x=x, y=y),)


def _coordinate(name: str, number: float) -> float:
    if not 0 <= number <= _MAX_COORDINATE:
        raise MalformedRequest(
            f"{name} is {number:g}, expected 0 to the picture's side",
            hint="points are pixels of the upright picture, from its top left corner",
        )
    return number


def _top(number: float) -> int:
    if number != int(number) or not 1 <= number <= _MAX_TOP:
        raise MalformedRequest(f"top is {number:g}, expected a whole number, 1 or more")
    return int(number)


def _threshold(number: float) -> float:
    if not 0 <= number <= 1:
        raise MalformedRequest(f"threshold is {number:g}, expected 0 to 1")
    return number


def _models(values: list[object]) -> tuple[str, ...]:
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    if len(names) > _MAX_MODELS:
        raise MalformedRequest(f"{len(names)} models are named, at most {_MAX_MODELS} are allowed")
    known: dict[str, None] = {}
    for name in names:
        if not isinstance(name, str):
            raise MalformedRequest("model must be a name, or a list of names")
        known[name] = None
    return tuple(known)


def _explain(values: list[object]) -> frozenset[Explain]:
    words = [word for value in values for word in (value if isinstance(value, list) else [value])]
    for word in words:
        if word != "input":
            raise MalformedRequest(f"explain is {_shown(word)}, expected 'input'")
    return frozenset({"input"}) if words else frozenset()


def _points(values: list[object], *, most: int) -> tuple[Point, ...]:
    pairs = [pair for value in values for pair in _listed(value)]
    if len(pairs) > most:
        raise MalformedRequest(
            f"{len(pairs)} points are given, at most {most} are allowed", limit=most
        )
    return tuple(_one_point(pair) for pair in pairs)


def _listed(value: object) -> list[Any]:
    """The pairs in a value of ``points``: a JSON list, JSON text, or text as ``10,20;30,40``."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        value = _json(value)
    if isinstance(value, str):
        return [part.split(",") for part in value.strip().rstrip(";").split(";")]
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        _refuse_points(value)
    if len(value) == 2 and not isinstance(value[0], list | dict):
        return [value]
    return value


def _json(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        _refuse_points(text)


def _one_point(pair: object) -> Point:
    if isinstance(pair, dict) and pair.keys() == {"x", "y"}:
        pair = [pair["x"], pair["y"]]
    if not (isinstance(pair, list) and len(pair) == 2):
        _refuse_points(pair)
    x, y = (_number("points", value) for value in pair)
    return Point(x=_coordinate("x", x), y=_coordinate("y", y))


def _refuse_points(value: object) -> NoReturn:
    raise MalformedRequest(
        f"points holds {_shown(value)}, which is no point",
        hint='write 10,20;30,40 or [[10, 20], [30, 40]] or [{"x": 10, "y": 20}]',
    )


def _shown(value: object) -> str:
    """A value for a message: short, whatever was sent."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**18:
        return "a huge number"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return repr(value)[:60]
