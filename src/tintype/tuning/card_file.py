"""Where the card of a tuned model is, and the choice written into it with its graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.errors import CardError, ModelFileError, SettingsError
from tintype.modelfiles.parts import files_of
from tintype.models.card import CARD_NAME, Card
from tintype.models.library import is_model
from tintype.models.plan import ModelPlan
from tintype.models.tuned import ends_of, graph_files, recipe_text, sha256_of
from tintype.models.whole_file import write_whole
from tintype.tuning.candidates import INT8, Candidate
from tintype.tuning.card_text import toml_of, with_tuned

_GRAPH_ENDING: Final = ".int8.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The card to write, and whether it is there; a new one begins with ``begin``."""

    card: Path
    is_there: bool
    begin: str = ""


def place_of(card: Card, *, out: Path | None) -> Place:
    """Where the choice for ``card`` goes: its own card, else a new one beside it or in ``out``.

    Raises SettingsError where a new card would hide other models, or there is one already;
    CardError where the card cannot be edited.
    """
    place = _place_of(card, out)
    if place.is_there:
        with_tuned(_text_of(place.card), {})  # minutes of measuring shall not end in a refusal
    return place


def check_writable(place: Place) -> None:
    """Raise SettingsError where neither its folder nor a file in it can be made."""
    folder = place.card.parent
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise SettingsError(f"the card cannot be written: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(
            f"the card cannot be written: {there} is read-only",
            hint="--out DIR writes the card of a model file into another folder; "
            "--dry-run writes nothing",
        )


def is_bare(card: Card) -> bool:
    """Whether no card says anything of the model: a file, or the folder of a SavedModel."""
    folder = card.folder
    if folder is None:
        return True
    is_version = folder.name == card.version
    return folder == card.file and not is_version and not (folder / CARD_NAME).is_file()


def _place_of(card: Card, out: Path | None) -> Place:
    own = None if card.folder is None else card.folder / CARD_NAME
    if out is not None:
        if own is not None:
            raise SettingsError(f"--out is for a model file alone; this model's card is {own}")
        return _new_place(card, out)
    if own is not None:
        return Place(card=own, is_there=own.is_file(), begin=_new_card(card, own.parent))
    place = _new_place(card, card.file.parent)
    folder = place.card.parent
    others = _other_models(card.file)
    if others:
        raise SettingsError(
            f"a card in {folder} would hide the other models there ({', '.join(others[:3])})",
            hint="--out DIR writes the card and the graph into another folder",
        )
    return place


def _new_place(card: Card, folder: Path) -> Place:
    path = folder / CARD_NAME
    if path.exists():
        raise SettingsError(
            f"there is a card already: {path}",
            hint=f"tune the model as that card says: tintype tune {folder}",
        )
    return Place(card=path, is_there=False, begin=_new_card(card, folder))


def _other_models(file: Path) -> list[str]:
    """Names beside ``file`` that a server of the folder would serve."""
    own = {file.name, file.with_suffix(".bin").name}
    return [
        child.name
        for child in sorted(file.parent.iterdir())
        if child.name not in own
        and (is_model(child) if child.is_file() else (child / CARD_NAME).is_file())
    ]


def _new_card(card: Card, folder: Path) -> str:
    """A card that says of a model what was found, and what flags said."""
    file = _relative(card.file, folder)
    if not is_bare(card):  # a version: the model's own card says the rest
        return toml_of({"": {"file": file}})
    plain: dict[str, object] = {"name": card.name, "file": file}
    if card.labels is not None:
        plain["labels"] = _relative(card.labels, folder)
    if card.engine is not None:
        plain["engine"] = card.engine
    if card.allow_code:
        plain["allow_code"] = True
    read = {
        name: value
        for name in ("input", "output", "signature")
        if (value := getattr(card.read, name)) is not None
    }
    tables: dict[str, Mapping[str, object]] = {"": plain}
    tables |= {"recipe": card.recipe} if card.recipe else {}
    tables |= {"read": read} if read else {}
    return toml_of(tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The card, and the graph beside it, None where the model stays in its own file."""

    card: Path
    graph: Path | None


def write_choice(
    place: Place,
    plan: ModelPlan,
    kept: Candidate,
    *,
    graph: Path,
    evidence: Mapping[str, object],
) -> Written:
    """Write ``[tuned]`` into the card; the graph in int8 goes beside it where it was chosen.

    The card comes first: as long as its graph is not there, the model is served in f32, and a graph
    that no card names would be taken for a model. Raises ModelFileError, CardError.
    """
    folder = place.card.parent
    target = folder / graph.name
    table: dict[str, object] = {
        "precision": kept.precision,
        "threads": kept.threads,
        "streams": kept.streams,
        "batch": kept.batch,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if kept.precision == INT8:
            table |= {"graph": target.name, "graph_sha256": sha256_of(graph_files(graph))}
        if kept.precision != "f32":
            card, description = plan.card, plan.description
            sources = files_of(card.file, format=description.format, options=card.read)
            table |= {
                "sources": [_relative(path, folder) for path in sources],
                "sources_sha256": sha256_of(sources),
                "ends": list(ends_of(description.graph)),
                "recipe": recipe_text(plan.recipe),
            }
        before = _text_of(place.card) if place.is_there else place.begin
        text = with_tuned(before, table | {"evidence": evidence})
        write_whole(place.card.resolve(), text.encode())
        if kept.precision != INT8:
            _forget_old_graph(plan.card, folder)
            return Written(card=place.card, graph=None)
        for source, to in zip(
            reversed(graph_files(graph)), reversed(graph_files(target)), strict=True
        ):
            write_whole(to, source.read_bytes())
    except OSError as error:
        raise ModelFileError(f"{place.card}: {error.strerror or error}") from error
    return Written(card=place.card, graph=target)


def _text_of(path: Path) -> str:
    """The card's text, its line ends as they are. Raises CardError."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path} cannot be read: {error}") from error


def _forget_old_graph(card: Card, folder: Path) -> None:
    """Remove the graph that an earlier tuning wrote and nobody names any more."""
    old = None if card.tuned is None else card.tuned.graph
    if old is not None and old.parent == folder and old.name.endswith(_GRAPH_ENDING):
        for path in graph_files(old):
            path.unlink(missing_ok=True)


def _relative(path: Path, folder: Path) -> str:
    """``path`` as a card in ``folder`` names it, with slashes on every system."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
