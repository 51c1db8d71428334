"""The golden set: pictures whose labels are known, put to a version before it is swapped in."""

from __future__ import annotations

import asyncio
import csv
from dataclasses import dataclass
from pathlib import Path

from tintype.errors import CardError, GoldenSetFailed, ImageError
from tintype.imaging.limits import DecodeLimits
from tintype.models.host import ModelHost
from tintype.models.rows import row_of_picture
from tintype.types import Box, LabelScore, Tensor, Window

_MOST_PICTURES = 10_000
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One picture and its right label."""

    picture: Path
    label: str


async def check_golden(host: ModelHost, *, limits: DecodeLimits) -> None:
    """Put a model's golden pictures to it, if its card names some.

    Raises GoldenSetFailed when fewer than the card's share are answered rightly, CardError when
    the set cannot be read or has labels that the model has not.
    """
    golden = host.plan.card.golden
    if golden is None:
        return
    known = await asyncio.to_thread(read_golden, golden.pictures)
    strangers = sorted({one.label for one in known} - set(host.plan.labels))
    if strangers:
        raise CardError(
            f"the golden set {golden.pictures} has labels that {host.name!r} has not: "
            f"{', '.join(strangers[:5])}"
        )
    wrong = [(one, told) for one in known if (told := await _ask(host, one, limits)) != one.label]
    share = 1 - len(wrong) / len(known)
    if share < golden.accuracy:
        one, told = wrong[0]
        raise GoldenSetFailed(
            f"version {host.version} of {host.name!r} has {len(known) - len(wrong)} of "
            f"{len(known)} golden pictures right, a share of {share:.3g}; at least "
            f"{golden.accuracy:.3g} is wanted. The first wrong one: {one.picture.name} is "
            f"{one.label!r}, it says {told!r}",
            hint="golden.accuracy in model.toml moves the bar",
            limit=golden.accuracy,
            actual=share,
        )


def read_golden(path: Path) -> tuple[Known, ...]:
    """The pictures of a set: a folder with a subfolder a label, or a CSV of ``file,label``.

    Names in a CSV are beside it. Raises CardError.
    """
    try:
        known = _from_folder(path) if path.is_dir() else _from_csv(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CardError(f"the golden set {path} cannot be read: {error}") from error
    if not known:
        raise CardError(f"the golden set {path} has no pictures")
    if len(known) > _MOST_PICTURES:
        raise CardError(f"the golden set {path} has more than {_MOST_PICTURES} pictures")
    return known


def _from_folder(folder: Path) -> tuple[Known, ...]:
    return tuple(
        Known(picture=picture, label=label.name)
        for label in sorted(folder.iterdir())
        if label.is_dir() and not label.name.startswith(".")
        for picture in sorted(label.iterdir())
        if picture.is_file() and not picture.name.startswith(".")
    )


def _from_csv(path: Path) -> tuple[Known, ...]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise CardError(f"the golden set {path} needs the columns file and label")
        return tuple(
            Known(picture=path.parent / (row["file"] or ""), label=row["label"] or "")
            for row in rows
        )


async def _ask(host: ModelHost, one: Known, limits: DecodeLimits) -> str | None:
    """The first label told for a picture, None where nothing is found."""
    row, window = await asyncio.to_thread(_prepare, host, one.picture, limits)
    answer = await host.submit(row, deadline=None)
    found = host.read_out(answer.outputs, window=window, top=1, threshold=0.0)
    told: tuple[LabelScore | Box, ...] = found.labels or found.boxes or ()
    return told[0].label if told else None


def _prepare(host: ModelHost, picture: Path, limits: DecodeLimits) -> tuple[Tensor, Window]:
    try:
        with picture.open("rb") as file:
            data = file.read(_MOST_BYTES)
        return row_of_picture(host.plan, data, limits=limits)
    except (OSError, ImageError) as error:
        raise CardError(f"the golden picture {picture} cannot be read: {error}") from error
