"""Pictures whose right label a person has told, as a folder a label and one table.

The folders are what Keras, torchvision and ``tintype evaluate`` read; the table has every label as
it is, which a folder's name cannot always be.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from tintype.errors import SettingsError
from tintype.record.picture_place import PicturePlace
from tintype.record.tables import feedback, models, pictures, predictions, results

TABLE_NAME: Final = "labels.csv"
_UNSAFE: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One picture with its right label; ``name`` is where it is kept, empty where it is not.

    ``predicted`` and ``score``: what the model said first. Times are ISO 8601, UTC.
    """

    sha256: str
    name: str
    label: str
    predicted: str
    score: float | None
    correct: bool
    model: str
    version: str
    point_x: float | None
    point_y: float | None
    predicted_at: str
    said_at: str
    prediction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: ``pictures`` and lines, and how many ``missing`` were not kept any more."""

    pictures: int
    missing: int


def labelled(connection: Connection, *, model: str | None, only_wrong: bool) -> list[Labelled]:
    """Every picture and point of a model whose right label is known, by the last word about it.

    ``model`` None: the only one that was judged. Raises SettingsError when there are several.
    """
    name = model or _only_model(connection)
    last: dict[tuple[str, float | None, float | None], Labelled] = {}
    for row in connection.execute(_judged(name)):
        one = _labelled(row)
        last[one.sha256, one.point_x, one.point_y] = one
    return [one for one in last.values() if not (only_wrong and one.correct)]


def write_export(
    found: list[Labelled], folder: Path, *, place: PicturePlace, told: Callable[[str], None]
) -> Exported:
    """Write the pictures that are kept, and the table. ``told`` hears of each.

    Raises SettingsError when the folder is there and not empty, OSError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"{folder} is there and not empty", hint="give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    names = folder_names(one.label for one in found)
    missing = 0
    with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        columns = [each.name for each in fields(Labelled) if each.name != "name"]
        table.writerow(["file", *columns])
        for one in found:
            try:
                image = place.get(one.name)
            except FileNotFoundError:
                missing += 1
            else:
                path = folder / names[one.label] / _file_name(one)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(image)
                table.writerow(
                    [
                        path.relative_to(folder).as_posix(),
                        *(_cell(getattr(one, column)) for column in columns),
                    ]
                )
            told(one.label)
    return Exported(pictures=len(found) - missing, missing=missing)


def folder_names(labels: Iterator[str]) -> dict[str, str]:
    """A folder's name for each label: the label itself where every system can have it as a name.

    Two labels never share a folder, not even where capitals are not told apart.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(set(labels)):
        base = _safe(label)
        name, count = base, 1
        while name.casefold() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.casefold())
        names[label] = name
    return names


def _safe(label: str) -> str:
    """A label without what names may not have: separators, control characters, odd ends."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", label))
    name = "".join(letter if letter.isprintable() else "_" for letter in name)
    name = name[:_LONGEST].strip().rstrip(".")
    if name.startswith("."):
        name = f"_{name[1:]}"
    return f"_{name}" if _RESERVED.fullmatch(name) or not name else name


def _file_name(one: Labelled) -> str:
    """The picture's hash, with the point where it was asked about one: it is labelled there."""
    path = Path(one.name)
    point = "" if one.point_x is None else f"-{one.point_x:g}-{one.point_y:g}"
    return f"{path.stem}{point}{path.suffix}"


def _cell(value: object) -> object:
    """A value for the table. A text that a spreadsheet would run as a formula is quoted."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def _only_model(connection: Connection) -> str:
    judged = select(models.c.name).join(feedback, feedback.c.model_id == models.c.id).distinct()
    names = sorted(connection.execute(judged).scalars())
    if len(names) > 1:
        raise SettingsError(
            f"{len(names)} models were judged: {', '.join(names)}", hint="name one: --model"
        )
    return names[0] if names else ""


def _judged(model: str) -> Any:
    """What was said of a model, in the order in which it was said."""
    place = (results.c.prediction_id == feedback.c.prediction_id) & (
        results.c.position == feedback.c.position
    )
    return (
        select(
            predictions.c.image_sha256,
            pictures.c.name.label("kept_as"),
            feedback,
            models.c.name,
            models.c.version,
            results.c.point_x,
            results.c.point_y,
        )
        .join(results, place)
        .join(predictions, predictions.c.id == feedback.c.prediction_id)
        .join(models, models.c.id == feedback.c.model_id)
        .outerjoin(
            pictures,
            (pictures.c.sha256 == predictions.c.image_sha256) & (pictures.c.at_ms > 0),
        )
        .where(models.c.name == model, feedback.c.right_label.is_not(None))
        .order_by(feedback.c.at_ms)
    )


def _labelled(row: Row[Any]) -> Labelled:
    return Labelled(
        sha256=row.image_sha256,
        name=row.kept_as or "",
        label=row.right_label,
        predicted=row.predicted or "",
        score=row.score,
        correct=row.correct,
        model=row.name,
        version=row.version,
        point_x=row.point_x,
        point_y=row.point_y,
        predicted_at=_time(row.predicted_ms),
        said_at=_time(row.at_ms),
        prediction=row.prediction_id,
    )


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
