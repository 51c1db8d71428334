"""Options that several verbs share, and the cards they come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tintype.errors import MalformedRequest, SettingsError
from tintype.imaging.recipe import recipe_settings
from tintype.modelfiles.description import ReadOptions
from tintype.models.card import Card
from tintype.models.library import Broken, find_cards
from tintype.types import Point

Labels: TypeAlias = Annotated[
    Path | None, typer.Option("--labels", help="Labels file. Found beside the model if not given.")
]
RecipeText: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="How pictures become tensors: a preset, then changes: keras-load-img,values=tf",
    ),
]
InputName: TypeAlias = Annotated[
    str | None, typer.Option("--input", help="Name of the input that takes the picture.")
]
OutputName: TypeAlias = Annotated[
    str | None, typer.Option("--output", help="Name of the output to answer with.")
]
Signature: TypeAlias = Annotated[
    str | None, typer.Option("--signature", help="Signature of a SavedModel.")
]
EngineName: TypeAlias = Annotated[
    str | None, typer.Option("--engine", help="openvino, litert or onnxruntime.")
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option("--device", help="cpu or cuda, for models whose cards say nothing. Default cpu."),
]
AllowCode: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Trust a Keras file with code: convert it through Keras itself, shut in. Runs it.",
    ),
]
Top: TypeAlias = Annotated[int | None, typer.Option("--top", min=1, help="How many labels.")]
Threshold: TypeAlias = Annotated[
    float | None, typer.Option("--threshold", min=0, max=1, help="Leave out lower scores.")
]
X: TypeAlias = Annotated[float | None, typer.Option("--x", help="Point, pixels from the left.")]
Y: TypeAlias = Annotated[float | None, typer.Option("--y", help="Point, pixels from the top.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a person says about a model on the command line, over what its file or card says."""

    labels: Path | None = None
    recipe: str | None = None
    input: str | None = None
    output: str | None = None
    signature: str | None = None
    engine: str | None = None
    allow_code: bool = False

    def given(self) -> list[str]:
        """The flags that were given."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return [
            f"--{name.replace('_', '-')}"
            for name, value in values.items()
            if value is not None and value is not False
        ]


def points(x: float | None, y: float | None) -> tuple[Point, ...]:
    """The point of ``--x`` and ``--y``, if any. Raises MalformedRequest for half of one."""
    if x is None and y is None:
        return ()
    if x is None or y is None:
        raise MalformedRequest("a point needs both --x and --y")
    return (Point(x=x, y=y),)


def cards_for(
    paths: tuple[Path, ...], overrides: Overrides, *, broken: Broken | None = None
) -> tuple[Card, ...]:
    """The cards of ``paths`` with the overrides laid over the only one, see ``find_cards``.

    Raises SettingsError when overrides are given for several models: they belong to one.
    """
    cards = find_cards(paths, broken=broken)
    given = overrides.given()
    if not given or not cards:
        return cards
    if len(cards) > 1:
        raise SettingsError(
            f"{', '.join(given)} belongs to one model, and {len(cards)} were found",
            hint="write it into a model.toml beside each model",
        )
    (card,) = cards
    canary = None if card.canary is None else _overridden(card.canary, overrides)
    earlier = tuple(_overridden(each, overrides) for each in card.earlier)
    return (replace(_overridden(card, overrides), canary=canary, earlier=earlier),)


def _overridden(card: Card, overrides: Overrides) -> Card:
    recipe: Mapping[str, object] = card.recipe
    if overrides.recipe is not None:
        recipe = {**recipe, **recipe_settings(overrides.recipe)}
    if overrides.labels is not None:
        card = replace(card, labels=overrides.labels, class_names=())
    read = ReadOptions(
        input=overrides.input or card.read.input,
        output=overrides.output or card.read.output,
        signature=overrides.signature or card.read.signature,
    )
    return replace(
        card,
        recipe=recipe,
        read=read,
        engine=overrides.engine or card.engine,
        allow_code=overrides.allow_code or card.allow_code,
    )
