"""A planned model written as an ONNX file that carries its recipe and labels with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tintype.errors import ModelFileError
from tintype.imaging.recipe import settings_of
from tintype.modelfiles.onnx_properties import (
    LABELS,
    RECIPE,
    TASK,
    onnx_bytes,
    reading_properties,
    with_properties,
)
from tintype.models.plan import ModelPlan
from tintype.models.whole_file import write_whole

_MADE_UP = "none"
"""The source of labels that no file gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What was written: the file, its bytes, and remarks for the one who asked."""

    path: Path
    size: int
    remarks: tuple[str, ...]


def check_free(out: Path, *, force: bool) -> None:
    """Raise ModelFileError where ``out`` cannot or must not be written."""
    if out.is_dir() or not out.parent.is_dir():
        what = (
            "is a folder" if out.is_dir() else f"lies in a folder that is not there, {out.parent}"
        )
        raise ModelFileError(f"{out} {what}; expected the name of a file to write")
    if out.exists() and not force:
        raise ModelFileError(f"{out} is there already", hint="write over it: --force")


def convert(plan: ModelPlan, out: Path, *, force: bool = False) -> Converted:
    """Write the model of ``plan`` to ``out`` as ONNX: all of it or nothing.

    Raises UnsupportedModel for formats that are not written as ONNX, ModelFileTooLarge beyond
    2 GiB, ModelFileError where the file is there already or cannot be written.
    """
    check_free(out, force=force)
    content = with_properties(
        onnx_bytes(plan.description, max_bytes=plan.card.read.max_bytes), properties_of(plan)
    )
    # checked again at the end: somebody may have been faster
    write_whole(out, content, check=partial(check_free, out, force=force))
    return Converted(path=out, size=len(content), remarks=tuple(_remarks(plan)))


def properties_of(plan: ModelPlan) -> dict[str, str]:
    """The metadata that lets the written file be served as this plan says."""
    properties = {
        RECIPE: json.dumps(settings_of(plan.recipe)),
        TASK: plan.task.value,
        **reading_properties(plan.description),
    }
    if plan.labels_source != _MADE_UP:
        properties[LABELS] = json.dumps(plan.labels, ensure_ascii=False)
    return properties


def _remarks(plan: ModelPlan) -> list[str]:
    remarks = []
    if plan.recipe_is_guess:
        remarks.append(
            "the recipe is a guess, and is now written into the file; "
            f"to write another: {plan.recipe_override.replace('serve', 'convert', 1)}"
        )
    if plan.labels_source == _MADE_UP:
        remarks.append("no labels were found, so none are written: give them with --labels FILE")
    if plan.card.size is not None and plan.description.image.height is None:
        remarks.append("the size of the card is not written: the file still takes any size")
    return remarks
