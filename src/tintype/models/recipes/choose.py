"""Chooses the recipe that a model file asks for, and says why.

The order in which evidence counts: what the file says (metadata, arithmetic in the graph, an
input of levels), what its first batch normalisation remembers, structure and names, and last what
is usual. A resize leaves no trace in a file unless the graph does it; the loader that goes with
the kind of file is taken, and the others that would do are named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tintype.errors import SettingsError
from tintype.imaging.presets import PRESETS
from tintype.imaging.recipe import parse_recipe
from tintype.modelfiles.description import ModelDescription
from tintype.models.recipes.loaders import Loader, choose_loader
from tintype.models.recipes.scales import PLUS_MINUS_ONE, RAW, UNIT
from tintype.models.recipes.scaling import Scaling, decide_scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChoice:
    """A recipe with its evidence.

    ``settings`` is what ``imaging.recipe.parse_recipe`` takes. ``is_guess``: neither the file,
    nor its maker, nor a clear fit tells how values are scaled. ``reasons`` are sentences for
    people, the most important first. ``alternatives``: settings as text (for
    ``parse_recipe_text``) and what speaks for them, the likeliest first, at least one.
    """

    settings: Mapping[str, object]
    is_guess: bool
    reasons: tuple[str, ...]
    alternatives: tuple[tuple[str, str], ...]


def choose_recipe(description: ModelDescription) -> RecipeChoice:
    """Choose preset and values for the model ``description`` describes."""
    carried = _carried(description.evidence.recipe)
    if carried is not None:
        return carried
    scaling = decide_scaling(description)
    loader = choose_loader(description, scaling.scale)
    values = _in_trainers_form(loader.preset, scaling)
    return RecipeChoice(
        settings=_settings(loader.preset, loader.changes, values),
        is_guess=not scaling.settled,
        reasons=(
            _first_reason(scaling),
            *scaling.warnings,
            _resize_reason(loader, is_told=description.evidence.resize is not None),
        ),
        alternatives=_alternatives(loader, scaling, values),
    )


def _carried(text: str | None) -> RecipeChoice | None:
    """The recipe that the file itself carries, as JSON; None where there is none that holds."""
    try:
        settings = json.loads(text or "null")
        recipe = None if not isinstance(settings, dict) else parse_recipe(settings)
    except (ValueError, RecursionError, SettingsError):
        recipe = None
    if recipe is None:
        return None
    return RecipeChoice(
        settings=settings,
        is_guess=False,
        reasons=(f"{recipe.preset}, because the file carries this recipe",),
        alternatives=(("keras-image-dataset", "if it is not what the model was trained on"),),
    )


def _in_trainers_form(preset: str, scaling: Scaling) -> Mapping[str, object]:
    """The same numbers as the loader's own code computes them, so that they are bit-exact."""
    if scaling.scale is UNIT and "mean" not in scaling.values:
        return {"op": "x*(1/255)"} if preset.startswith(("keras", "tf1", "tfhub")) else UNIT.values
    if scaling.scale is PLUS_MINUS_ONE and preset == "tf1-label-image":
        return {"op": "mean-std", "mean": [127.5], "std": [127.5]}
    return scaling.values


def _settings(
    preset: str, changes: Mapping[str, object], values: Mapping[str, object]
) -> dict[str, object]:
    """Preset and what differs from it."""
    settings: dict[str, object] = {"preset": preset, **changes}
    own = PRESETS[preset].values
    wanted = {"order": "RGB", "mean": [], "std": [], **values}
    if wanted != {
        "op": own.op,
        "order": own.order,
        "mean": [*own.mean],
        "std": [*own.std],
    }:
        settings["values"] = dict(values)
    return settings


def _first_reason(scaling: Scaling) -> str:
    said = "levels 0..255 as they are" if scaling.scale is RAW else scaling.name
    text = f"{said}, because {scaling.because}"
    if not scaling.settled:
        return f"A guess: {text}"
    return text[0].upper() + text[1:] if scaling.scale is RAW else text


def _resize_reason(loader: Loader, *, is_told: bool) -> str:
    text = f"Decoded and resized as {loader.preset}: {loader.because}"
    if is_told:
        return text
    names = " and ".join(name for name, _ in loader.others)
    return f"{text}. A file does not tell its training's resize: {names} would fit too"


def _alternatives(
    loader: Loader, scaling: Scaling, values: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """Other loaders with the same values, and the next best scale with the same loader."""
    loaders = [(as_text(_settings(preset, {}, values)), why) for preset, why in loader.others]
    other = as_text(_settings(loader.preset, loader.changes, scaling.other.values))
    scale = (other, f"if pictures were scaled by {scaling.other.title} in training")
    return (*loaders, scale) if scaling.settled else (scale, *loaders)


def as_text(settings: Mapping[str, object]) -> str:
    """Settings in the one-line form of ``parse_recipe_text``."""
    parts = [str(settings["preset"])]
    for step, table in settings.items():
        if isinstance(table, Mapping):
            parts += [f"{step}.{name}={_plain(value)}" for name, value in table.items()]
    return ",".join(parts)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(f"{number:g}" for number in value)
    return str(value)
