"""Where the model's input lies in the upright picture, so that boxes can be told in its pixels."""

from __future__ import annotations

from tintype.imaging.steps import Recipe
from tintype.imaging.view import part_seen
from tintype.types import ImageInput, Point, Window


def seen_window(
    *, width: int, height: int, recipe: Recipe, target: ImageInput, point: Point | None
) -> Window:
    """Return the rectangle of a ``width`` x ``height`` picture that fills ``target``.

    Follows ``geometry.fit``, to a pixel: crops are centred, padding reaches beyond the part seen.

    Raises:
        MalformedRequest: the point lies outside the picture.
    """
    part = part_seen(width=width, height=height, view=recipe.view, point=point)
    wide, high = float(part.width), float(part.height)
    if target.width is not None and target.height is not None:
        wide, high = _covered(recipe, part.width, part.height, target.width, target.height)
    return Window(
        left=part.left + (part.width - wide) / 2,
        top=part.top + (part.height - high) / 2,
        width=wide,
        height=high,
    )


def _covered(
    recipe: Recipe, width: int, height: int, target_width: int, target_height: int
) -> tuple[float, float]:
    """Width and height of the picture's pixels that fill the input."""
    across, down = width / target_width, height / target_height
    mode = recipe.geometry.mode
    if mode in {"cover_crop", "crop_to_aspect"}:
        scale = min(across, down)
    elif mode == "pad":
        scale = max(across, down)
    elif mode == "short_side_crop":
        short = recipe.geometry.short_side or round(min(target_width, target_height) * 256 / 224)
        scale = min(width, height) / max(short, target_width, target_height)
    else:
        return float(width), float(height)
    return scale * target_width, scale * target_height
