"""A folder of labelled pictures: one folder a label, as Keras and torchvision have them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tintype.bulk.folders import files_below, is_litter
from tintype.errors import SettingsError
from tintype.types import name_text

_SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMatch:
    """Which label the pictures of a folder have. ``how`` is why, in words; empty when equal."""

    folder: str
    label: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """A file and the label it should get."""

    file: Path
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Files not looked at, in a folder that is no label; ``folder`` is empty for loose files."""

    folder: str
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFolder:
    """Every labelled picture, how folders became labels, and what was skipped."""

    path: Path
    pictures: tuple[LabelledPicture, ...]
    matches: tuple[FolderMatch, ...]
    skipped: tuple[Skipped, ...]


def read_labelled_folder(
    path: Path,
    *,
    labels: Sequence[str],
    named: Mapping[str, str],
    skip_unknown: bool = False,
) -> LabelledFolder:
    """Every file below ``path``/LABEL, sorted. Hidden files and folders are no pictures.

    ``named`` says folder by folder which label is meant. Raises SettingsError when there is no
    such folder, it has no folder or no file, or (unless ``skip_unknown``) one that is no label.
    """
    folders, loose = _children(path)
    matches = match_folders(folders, labels=labels, named=named)
    unknown = [folder for folder in folders if folder not in matches]
    if unknown and (len(unknown) == len(folders) or not skip_unknown):
        raise _unknown(path, unknown, labels=labels)
    pictures = tuple(
        LabelledPicture(file=file, label=match.label)
        for match in matches.values()
        for file in files_below(path / match.folder)
    )
    if not pictures:
        raise SettingsError(f"the folders of {path} hold no file")
    skipped = [(name, len([*files_below(path / name)])) for name in unknown] + [("", loose)]
    return LabelledFolder(
        path=path,
        pictures=pictures,
        matches=tuple(matches.values()),
        skipped=tuple(Skipped(folder=name, files=files) for name, files in skipped if files),
    )


def match_folders(
    folders: Sequence[str], *, labels: Sequence[str], named: Mapping[str, str]
) -> dict[str, FolderMatch]:
    """The label of each folder; a folder whose name is no label is not in the answer.

    A name is a label when both are equal; else when they are but for case, spaces, ``_`` and
    ``-``; else without a number in front; else one the plural of the other. Raises SettingsError
    where one name may be several labels, and where ``named`` names what is not there.
    """
    for folder, label in named.items():
        _must_be_known(folder, folders, what="folder")
        _must_be_known(label, labels, what="label of the model")
    found: dict[str, FolderMatch] = {}
    for folder in folders:
        if folder in named:
            found[folder] = FolderMatch(folder=folder, label=named[folder], how="as you said")
        elif (match := _match(folder, labels)) is not None:
            found[folder] = match
    return found


def _match(folder: str, labels: Sequence[str]) -> FolderMatch | None:
    if folder in labels:
        return FolderMatch(folder=folder, label=folder, how="")
    for how, same in (
        ("but for case and spaces", _plain),
        ("but for the number in front", _without_number),
        ("as its plural or singular", _singular),
    ):
        fitting = [label for label in labels if same(label) == same(folder)]
        if len(fitting) > 1:
            raise SettingsError(
                f"the folder {folder!r} may be any of the labels {', '.join(fitting)}",
                hint=f"--folder '{folder}={fitting[0]}' says which is meant",
            )
        if fitting:
            return FolderMatch(folder=folder, label=fitting[0], how=how)
    return None


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold())).strip()


def _without_number(name: str) -> str:
    plain = _plain(name)
    return re.sub(r"^\d+[.:)]?\s+(?=\S)", "", plain)


def _singular(name: str) -> str:
    """Without the endings of English plurals: ``boxes``, ``puppies`` and ``cats`` lose theirs."""
    name = _without_number(name)
    for ending, instead in (
        ("ies", "y"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("sses", "ss"),
        ("xes", "x"),
    ):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name.removesuffix(ending) + instead
    return name.removesuffix("s") if len(name) > 2 and not name.endswith("ss") else name


def _children(path: Path) -> tuple[list[str], int]:
    """Names of the folders in ``path``, and how many files lie beside them."""
    try:
        children = sorted(child for child in path.iterdir() if not is_litter(child.name))
    except OSError as error:
        raise SettingsError(
            f"cannot read the folder {path}: {error.strerror}",
            hint="give a folder that has one folder a label, with pictures in them",
        ) from error
    folders = [child.name for child in children if child.is_dir()]
    if not folders:
        raise SettingsError(
            f"{path} has no folders in it",
            hint="give a folder that has one folder a label, with pictures in them",
        )
    return folders, len(children) - len(folders)


def _must_be_known(name: str, known: Sequence[str], *, what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise SettingsError(
            f"--folder: {name!r} is no {what}",
            hint=f"did you mean {near[0]!r}?" if near else f"known are {_few(known)}",
        )


def _unknown(path: Path, unknown: Sequence[str], *, labels: Sequence[str]) -> SettingsError:
    near = difflib.get_close_matches(unknown[0], labels, n=1, cutoff=0.5)
    guess = near[0] if near else (labels[0] if labels else "LABEL")
    return SettingsError(
        f"{path}: no label of the model is called {_few([name_text(name) for name in unknown])}; "
        f"the labels are {_few(labels)}",
        hint=f"--folder '{name_text(unknown[0])}={guess}' says which label a folder has; "
        "--skip-unknown leaves such folders out",
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
