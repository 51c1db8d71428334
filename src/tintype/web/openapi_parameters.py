"""The parameters of the OpenAPI document: options of a prediction, filters of a report, names."""

from __future__ import annotations

from typing import Any, Final

PREDICTION_ID: Final[dict[str, Any]] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id in the answer to the picture.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}

OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "model",
        "description": "Name of a served model. Give it again for several; without it, all answer.",
        "schema": {"type": "array", "items": {"type": "string"}},
    },
    {
        "name": "x",
        "description": "Point: pixels from the left of the picture as shown upright. With `y`.",
        "schema": {"type": "number", "minimum": 0},
    },
    {
        "name": "y",
        "description": "Point: pixels from the top of the picture as shown upright. With `x`.",
        "schema": {"type": "number", "minimum": 0},
    },
    {
        "name": "points",
        "description": "Several points: `10,20;30,40`, `[[10, 20], [30, 40]]` or "
        '`[{"x": 10, "y": 20}]`. Instead of `x` and `y`.',
        "schema": {"type": "string"},
    },
    {
        "name": "top",
        "description": "How many labels, best first.",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "threshold",
        "description": "Leave out labels and boxes with a lower score.",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
    },
    {
        "name": "explain",
        "description": "`input` adds what the model saw: the tensor as PNG, its range, its recipe.",
        "schema": {"type": "string", "enum": ["input"]},
    },
)

FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "model",
        "description": "Name of a model in the record; without it, all.",
        "schema": {"type": "string"},
    },
    {
        "name": "version",
        "description": "Only this version.",
        "schema": {"type": "string"},
    },
    {
        "name": "label",
        "description": "Only pictures whose right label this is.",
        "schema": {"type": "string"},
    },
    {
        "name": "since",
        "description": "Only what was predicted since: a day (`2026-11-01`) or a time "
        "(`2026-11-01T12:00:00Z`), UTC where it names no zone.",
        "schema": {"type": "string"},
    },
)

NAMED: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "path",
        "description": "A picture on the server instead of one in the body: a file beneath a "
        "folder that the operator allows.",
        "schema": {"type": "string"},
    },
    {
        "name": "url",
        "description": "A picture on the web instead of one in the body, where the operator "
        "allows it.",
        "schema": {"type": "string", "format": "uri"},
    },
)
