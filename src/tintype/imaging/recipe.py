"""Recipes as people write them: a preset's name and what differs from it."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NoReturn

from tintype.errors import SettingsError
from tintype.imaging.presets import PRESETS
from tintype.imaging.steps import KINDS, Decode, Geometry, Recipe, Resize, Values, View
from tintype.types import ImageInput

__all__ = [
    "Decode",
    "Geometry",
    "Recipe",
    "Resize",
    "Values",
    "View",
    "decode_for",
    "expand",
    "parse_recipe",
    "parse_recipe_text",
    "recipe_settings",
    "settings_of",
]

_STEPS: Final[dict[str, type]] = {
    "decode": Decode,
    "geometry": Geometry,
    "resize": Resize,
    "values": Values,
    "view": View,
}
_HEADLINE: Final = {"geometry": "mode", "resize": "kind", "values": "op", "view": "kind"}
"""The field that a step's bare name sets: ``resize=bilinear``, ``values=torch``."""
_FLAT: Final = {
    "channels": "decode",
    "dct": "decode",
    "orientation": "decode",
    "alpha": "decode",
    "depth16": "decode",
    "grey": "decode",
    "mode": "geometry",
    "short_side": "geometry",
    "engine": "resize",
    "round": "resize",
    "op": "values",
    "order": "values",
    "mean": "values",
    "std": "values",
    "before_resize": "values",
    "fraction": "view",
    "size": "view",
}
_STATISTICS: Final = frozenset({"mean", "std", "values.mean", "values.std"})
_SPELLINGS: Final = {"jpeg_dct": "dct"}
_OPS: Final = {
    "tf": "x/127.5-1",
    "-1..1": "x/127.5-1",
    "0..1": "x/255",
    "raw": "none",
    "rescale": "x*(1/255)",
    "mean_std": "mean-std",
    "bgr-mean": "caffe",
}
_BEFORE_RESIZE: Final = {"none", "x/255", "x*(1/255)"}
_EXAMPLE: Final = "for example keras-load-img,values=tf,resize=bilinear"


def decode_for(recipe: Recipe, *, target: ImageInput) -> Decode:
    """Return the decode step with the channels that ``target`` takes."""
    return replace(recipe.decode, channels=target.channels)


def expand(recipe: Recipe) -> dict[str, object]:
    """Return every choice of ``recipe`` as plain strings, numbers, lists and dicts."""
    plain: dict[str, object] = {"preset": recipe.preset}
    for name in _STEPS:
        step = dataclasses.asdict(getattr(recipe, name))
        plain[name] = {k: list(v) if isinstance(v, tuple) else v for k, v in step.items()}
    if recipe.values.op == "caffe":
        plain["values"] = {**dataclasses.asdict(recipe.values), "order": "BGR"}
    return plain


def settings_of(recipe: Recipe) -> dict[str, object]:
    """Return the shortest mapping that ``parse_recipe`` makes ``recipe`` of: what to keep of it."""
    settings: dict[str, object] = {"preset": recipe.preset}
    for name in _STEPS:
        before = dataclasses.asdict(getattr(PRESETS[recipe.preset], name))
        now = dataclasses.asdict(getattr(recipe, name))
        changed = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in now.items()
            if value != before[key]
        }
        if changed:
            settings[name] = changed
    return settings


def parse_recipe_text(text: str) -> Recipe:
    """Parse ``preset,name=value,...``, such as ``keras-load-img,values=tf,resize=bilinear``.

    Raises:
        SettingsError: an unknown name or value.
    """
    return parse_recipe(recipe_settings(text))


def recipe_settings(text: str) -> dict[str, object]:
    """Read ``preset,name=value,...`` as the mapping that ``parse_recipe`` takes.

    The preset may be left out, to change single choices of another recipe. A list is written on:
    ``mean=103.9,116.8,123.7``. Names and values are not checked yet.

    Raises:
        SettingsError: a part that is no ``name=value``.
    """
    options: dict[str, object] = {}
    last = ""
    for number, part in enumerate(piece.strip() for piece in text.split(",")):
        name, equals, value = part.partition("=")
        if equals:
            last = name.strip()
            options[last] = value.strip()
        elif last in {"mean", "std", "values.mean", "values.std"}:
            options[last] = f"{options[last]},{part}"
        elif number == 0:
            options["preset"] = part
        else:
            raise SettingsError(f"{part!r} in the recipe is no name=value pair", hint=_EXAMPLE)
    return options


def parse_recipe(mapping: Mapping[str, object]) -> Recipe:
    """Make a recipe of ``preset`` and the choices that differ from it.

    Choices are flat (``dct``, ``engine``, ``mean``...), dotted (``resize.kind``), or one table a
    step (``resize = {engine = "tf2", kind = "bilinear"}``); a step's bare name with a string sets
    its main choice (``geometry`` the mode, ``resize`` the kind, ``values`` the op).

    Raises:
        SettingsError: an unknown name or value (the nearest known one is named), a value of a
            wrong kind, or choices that do not go together.
    """
    options = dict(mapping)
    preset = options.pop("preset", None)
    if not isinstance(preset, str) or preset not in PRESETS:
        _unknown("preset", preset, PRESETS)
    changes: dict[str, dict[str, object]] = {step: {} for step in _STEPS}
    for name, value in options.items():
        _place(changes, name, value)
    recipe = PRESETS[preset]
    steps: dict[str, Any] = {
        step: _changed(step, getattr(recipe, step), fields) for step, fields in changes.items()
    }
    made = _checked(replace(recipe, **steps))
    idle = sorted(_STATISTICS & set(options)) if made.values.op != "mean-std" else []
    if idle:
        raise SettingsError(
            f"{' and '.join(idle)} would do nothing: the values are {made.values.op}",
            hint="add values=mean-std",
        )
    return made


def _place(changes: dict[str, dict[str, object]], name: str, value: object) -> None:
    """Put one choice into the table of its step."""
    step, dot, inner = name.replace("-", "_").partition(".")
    inner, step = _SPELLINGS.get(inner, inner), _SPELLINGS.get(step, step)
    if dot and step in _STEPS:
        changes[step][inner] = value
    elif step in _STEPS and isinstance(value, Mapping):
        for key, item in value.items():
            changes[step][_SPELLINGS.get(str(key), str(key))] = item
    elif step in _HEADLINE and not dot:
        changes[step][_HEADLINE[step]] = value
    elif step in _FLAT and not dot:
        changes[_FLAT[step]][step] = value
        if step in {"fraction", "size"}:
            changes["view"].setdefault("kind", {"fraction": "fraction", "size": "pixels"}[step])
    else:
        _unknown("recipe option", name, ["preset", *_STEPS, *_FLAT])


def _changed(step: str, before: object, fields: Mapping[str, object]) -> object:
    hints = typing.get_type_hints(_STEPS[step])
    for name in fields:
        if name not in hints:
            _unknown(f"{step} option", name, hints)
    values = {name: _value(f"{step}.{name}", value, hints[name]) for name, value in fields.items()}
    if values.get("op", "none") not in _BEFORE_RESIZE:
        values.setdefault("before_resize", False)
    return replace(before, **values)  # type: ignore[type-var]  # one of the dataclasses of _STEPS


def _value(name: str, value: object, hint: object) -> object:
    """Turn ``value``, perhaps a string, into what ``hint`` wants."""
    if typing.get_origin(hint) is typing.Literal:
        allowed = typing.get_args(hint)
        value = _OPS.get(str(value), value) if name == "values.op" else value
        if value not in allowed:
            _unknown(name, value, allowed)
        return value
    if value is None and hint == int | None:
        return None
    if hint is bool:
        return _boolean(name, value)
    if hint == tuple[float, ...]:
        return () if value in ([], (), "") else _numbers(name, value)
    if hint is float:
        return _numbers(name, value)[0]
    (number,) = _numbers(name, value)[:1]
    if number != int(number):
        raise SettingsError(f"{name} is {value!r}, expected a whole number")
    return int(number)


def _boolean(name: str, value: object) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    text = str(value).lower()
    if text not in known:
        raise SettingsError(f"{name} is {value!r}, expected true or false")
    return known[text]


def _numbers(name: str, value: object) -> tuple[float, ...]:
    """Read one number or several; a string may hold commas, semicolons or spaces."""
    if isinstance(value, str):
        parts: Iterable[object] = value.replace(",", " ").replace(";", " ").split()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        parts = (value,)
    try:
        numbers = tuple(float(part) for part in parts)  # type: ignore[arg-type]  # may raise
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise SettingsError(f"{name} is {value!r}, expected a number")
    return numbers


def _unknown(what: str, name: object, known: Iterable[object]) -> NoReturn:
    names = [str(item) for item in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else _EXAMPLE
    said = "missing" if name is None else f"{name!r}, which is not known"
    raise SettingsError(f"the {what} is {said}; known are {', '.join(names)}", hint=hint)


def _checked(recipe: Recipe) -> Recipe:
    """Refuse choices that do not go together."""
    resize, values, view, geometry = recipe.resize, recipe.values, recipe.view, recipe.geometry
    if resize.kind not in KINDS[resize.engine]:
        engines = ", ".join(engine for engine, kinds in KINDS.items() if resize.kind in kinds)
        raise SettingsError(
            f"the {resize.engine} resize knows no {resize.kind}; it knows "
            f"{', '.join(KINDS[resize.engine])}",
            hint=f"add engine={engines}",
        )
    if values.before_resize and (values.op not in _BEFORE_RESIZE or resize.engine == "pillow"):
        raise SettingsError(
            f"values {values.op} with the {resize.engine} resize cannot come before the resize",
            hint="add before_resize=false",
        )
    if values.op == "mean-std" and (not values.mean or not values.std or 0 in values.std):
        raise SettingsError(
            "values mean-std needs mean and std, in levels 0..255, std not zero",
            hint="for example values=mean-std,mean=127.5,std=127.5",
        )
    if not 0 < view.fraction <= 1 or (view.kind == "pixels" and view.size < 1):
        raise SettingsError(
            f"the view has fraction {view.fraction} and size {view.size}; "
            "expected a fraction above 0 up to 1, or a size in pixels",
            hint="for example fraction=0.8, or size=9",
        )
    if geometry.short_side is not None and geometry.short_side < 1:
        raise SettingsError(f"short_side is {geometry.short_side}, expected pixels above zero")
    if recipe.decode.channels not in {1, 3, 4}:
        raise SettingsError(f"channels is {recipe.decode.channels}, expected 1, 3 or 4")
    return recipe
