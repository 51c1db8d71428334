"""A picture made into the row that a planned model takes, without a server around it."""

from __future__ import annotations

from tintype.imaging.decode import decode
from tintype.imaging.encoded import encoded_row
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.prepare import prepare
from tintype.imaging.window import seen_window
from tintype.models.plan import ModelPlan
from tintype.types import Tensor, Window


def row_of_picture(plan: ModelPlan, data: bytes, *, limits: DecodeLimits) -> tuple[Tensor, Window]:
    """The row, without the batch axis, and the part of the picture that fills it.

    Raises ImageError.
    """
    picture = decode(data, header=read_header(data, limits=limits), how=plan.recipe.decode)
    if plan.target.tensor.dtype == "string":
        row = encoded_row(data, picture=picture, recipe=plan.recipe, point=None)
    else:
        row = prepare(picture.array, recipe=plan.recipe, target=plan.target, point=None)
    window = seen_window(
        width=picture.facts.width,
        height=picture.facts.height,
        recipe=plan.recipe,
        target=plan.target,
        point=None,
    )
    return row, window
