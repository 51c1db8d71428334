"""The samples: pictures to judge by and to calibrate on, with the right label where it is known.

No picture does both: a precision is judged on pictures that its ranges were not taken from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tintype.bulk.folders import files_below
from tintype.errors import SettingsError
from tintype.evaluation.folder import FolderMatch, match_folders

_Item = TypeVar("_Item")

LEAST_CALIBRATED: Final = 20
MOST_CALIBRATED: Final = 300
MOST_JUDGED: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A picture file and its right label, None where nobody says it."""

    file: Path
    right: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Pictures to judge by, and others whose activations give the ranges of int8."""

    judged: tuple[Sample, ...] = ()
    calibrated: tuple[Path, ...] = ()

    @property
    def labelled(self) -> int:
        """How many of the judged ones have a right label."""
        return sum(sample.right is not None for sample in self.judged)


def read_samples(folder: Path, *, labels: Sequence[str]) -> Samples:
    """The pictures below ``folder``. A folder in it that is a label says the right one.

    Labels are found in the names of folders as ``tintype evaluate`` does; other folders say
    nothing. Raises SettingsError where there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"--samples: there is no folder {folder}", hint="give a folder with pictures in it"
        )
    named = sorted(child.name for child in folder.iterdir() if child.is_dir())
    matches = match_folders(named, labels=labels, named={})
    samples = [
        Sample(file=file, right=_right(file.relative_to(folder), matches))
        for file in files_below(folder)
    ]
    if not samples:
        raise SettingsError(f"--samples: the folder {folder} holds no file")
    return split(samples)


def split(samples: Sequence[Sample]) -> Samples:
    """Every second one to calibrate on, the rest to judge by; evenly thinned out where many."""
    calibrated = [sample.file for sample in samples[1::2]]
    return Samples(
        judged=tuple(_thinned(samples[::2], MOST_JUDGED)),
        calibrated=tuple(_thinned(calibrated, MOST_CALIBRATED)),
    )


def _thinned(items: Sequence[_Item], most: int) -> list[_Item]:
    if len(items) <= most:
        return [*items]
    return [items[index * len(items) // most] for index in range(most)]


def _right(inside: Path, matches: dict[str, FolderMatch]) -> str | None:
    match = matches.get(inside.parts[0]) if len(inside.parts) > 1 else None
    return None if match is None else match.label
