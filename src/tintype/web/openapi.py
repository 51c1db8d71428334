"""The OpenAPI 3.1 document, written by hand around the schemas of our own values."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tintype import __version__
from tintype.models.info import ModelInfo
from tintype.record.accuracy import AccuracyReport
from tintype.types import Prediction
from tintype.web.accuracy import FILTER_NAMES
from tintype.web.errors import HTTP_PROBLEMS, PROBLEM_JSON, TABLE
from tintype.web.openapi_examples import (
    ACCURACY_CURL,
    ACCURACY_EXAMPLE,
    BATCH_CURL,
    BATCH_EXAMPLE,
    EXAMPLE_ID,
    FEEDBACK_CURL,
    FEEDBACK_EXAMPLE,
    MODEL_EXAMPLE,
    PREDICT_CURL,
    PREDICTION_EXAMPLE,
    PROBLEM_EXAMPLE,
    READY_EXAMPLE,
    RECORDED_EXAMPLE,
)
from tintype.web.predictions import FeedbackBody

Json = dict[str, Any]
_OPEN: Final = ("/live", "/ready", "/openapi.json")
_SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Where keys are asked for."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_REF: Final = "#/components/schemas/{name}"

_PREDICTION_ID: Final[Json] = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id in the answer to the picture.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}

OPTIONS: Final[tuple[Json, ...]] = (
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


FILTERS: Final[tuple[Json, ...]] = (
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

NAMED: Final[tuple[Json, ...]] = (
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


@functools.cache
def document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tintype",
            "version": __version__,
            "description": "Trained image models, served from their files.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
        "security": [{}, *({name: []} for name in _SECURITY)],
    }


def problem_rows() -> list[Json]:
    """Every kind of problem that may be answered, for people: slug, status, title, when."""
    ours = [(cls.type, row) for cls, row in TABLE.items()]
    return [
        {"slug": slug, "status": row.status, "title": row.title, "when": row.when}
        for slug, row in [*ours, *HTTP_PROBLEMS.items()]
    ]


def _schemas() -> Json:
    _, schemas = msgspec.json.schema_components(
        (Prediction, ModelInfo, FeedbackBody, AccuracyReport),
        schema_hook=_any_value,
        ref_template=_REF,
    )
    known: Json = dict(schemas)
    del known["Prediction"]["properties"]["look"]  # for observers, not part of the answer
    del known["PictureLook"]
    known["Problem"] = {
        "type": "object",
        "description": "RFC 9457. Further members hold the facts: `limit`, `actual`, `format`.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "hint": {"type": "string"},
            "instance": {"type": "string"},
        },
    }
    return known


def _any_value(_: type) -> Json:
    """``object``, the values of a recipe."""
    return {"description": "Any JSON value."}


def _paths() -> Json:
    """Every path; those that may ask for a key tell what is answered without one."""
    return {
        path: operations if path in _OPEN else _guarded(operations)
        for path, operations in _all_paths().items()
    }


def _guarded(operations: Json) -> Json:
    return {
        method: {
            **operation,
            "responses": _problems(400, 401, 403, 429) | operation["responses"],
        }
        for method, operation in operations.items()
    }


def _all_paths() -> Json:
    return {
        "/api/predict": {"post": _predict()},
        "/api/predict/batch": {"post": _batch()},
        "/api/models": {"get": _models()},
        "/api/models/{name}": {"get": _model()},
        "/api/models/{name}/reload": {"post": _reload()},
        "/api/predictions/{id}": {"get": _recorded(), "delete": _deleted()},
        "/api/predictions/{id}/feedback": {"put": _feedback()},
        "/api/accuracy": {"get": _accuracy()},
        "/live": {"get": _simple("Is the process alive?", {"status": "alive"})},
        "/ready": {"get": _ready()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": {"get": _simple("This document", None)},
    }


def _predict() -> Json:
    json_body = _object(
        {
            "image": _text("Base64, either alphabet, or a data URL."),
            **{named["name"]: _text(named["description"]) for named in NAMED},
        },
        [],
    )
    return {
        "operationId": "predict",
        "summary": "One picture, one or more models, none or more points",
        "description": "The options may come as query, as form fields or as JSON keys.",
        "parameters": [_parameter(option) for option in (*OPTIONS, *NAMED)],
        "requestBody": _body(
            {
                "image/*": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": _object({"image": {"type": "string", "format": "binary"}}, ["image"])
                },
                "application/json": {"schema": json_body, "example": {"image": "/9j/4AAQ..."}},
            }
        ),
        "responses": _responses(
            "The prediction", {"$ref": _REF.format(name="Prediction")}, PREDICTION_EXAMPLE
        )
        | _problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504),
        "x-curl": PREDICT_CURL,
    }


def _batch() -> Json:
    encoded = _text("Base64, either alphabet, or a data URL.")
    named = [_object({name["name"]: _text(name["description"])}, [name["name"]]) for name in NAMED]
    images = {"type": "array", "items": {"anyOf": [encoded, *named]}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    item = {
        "anyOf": [
            {"$ref": _REF.format(name="Prediction")},
            _object({"error": {"$ref": _REF.format(name="Problem")}}, ["error"]),
        ]
    }
    return {
        "operationId": "predictBatch",
        "summary": "Many pictures; one bad picture harms no other",
        "description": "The options hold for every picture. The answer keeps the order.",
        "parameters": [_parameter(option) for option in (*OPTIONS, *NAMED)],
        "requestBody": _body(
            {
                "multipart/form-data": {"schema": _object({"image": files}, ["image"])},
                "application/json": {
                    "schema": _object({"images": images}, ["images"]),
                    "example": {"images": ["/9j/4AAQ...", "iVBORw0KGgo..."]},
                },
            }
        ),
        "responses": _responses(
            "A prediction, or an error, for each picture",
            {"type": "array", "items": item},
            BATCH_EXAMPLE,
        )
        | _problems(400, 401, 403, 404, 408, 413, 415, 429, 503),
        "x-curl": BATCH_CURL,
    }


def _models() -> Json:
    text = {"type": "string"}
    missing = dict.fromkeys(("name", "version", "task", "health"), text)
    missing |= {"error": {"$ref": _REF.format(name="ResultError")}}
    schema = _object(
        {
            "models": {"type": "array", "items": {"$ref": _REF.format(name="ModelInfo")}},
            "absent": {"type": "array", "items": _object(missing, list(missing))},
        },
        ["models", "absent"],
    )
    return {
        "operationId": "models",
        "summary": "What is served, and how",
        "responses": _responses("Every model", schema, {"models": [MODEL_EXAMPLE], "absent": []}),
        "x-curl": [{"title": "All models", "command": "curl {base}/api/models"}],
    }


def _model() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "model",
        "summary": "One model: input, recipe, labels, engine, health",
        "parameters": [name | {"description": "The model's name."}],
        "responses": _responses("The model", {"$ref": _REF.format(name="ModelInfo")}, MODEL_EXAMPLE)
        | _problems(404),
        "x-curl": [{"title": "One model", "command": "curl {base}/api/models/pets"}],
    }


def _reload() -> Json:
    told = _model()
    return {
        "operationId": "reload",
        "summary": "Load a model anew from its files",
        "description": "The old version answers until the new one is loaded, warm and right on its "
        "golden set. When it fails, the old one stays and the problem says why.",
        "parameters": told["parameters"],
        "responses": told["responses"] | _problems(403, 404, 409, 503),
        "x-curl": [
            {"title": "Load it anew", "command": "curl -X POST {base}/api/models/pets/reload"}
        ],
    }


def _recorded() -> Json:
    return {
        "operationId": "prediction",
        "summary": "A recorded prediction, with what was said of it",
        "parameters": [_PREDICTION_ID],
        "responses": _responses(
            "The prediction as it was answered", {"type": "object"}, RECORDED_EXAMPLE
        )
        | _problems(403, 404, 503),
        "x-curl": [{"title": "One prediction", "command": "curl {base}/api/predictions/ID"}],
    }


def _feedback() -> Json:
    return {
        "operationId": "feedback",
        "summary": "Say whether a prediction was right",
        "description": "One of `correct`, `label` and `picked`; `model`, and `x` with `y`, where "
        "the prediction has several results. It is committed before it is answered, and replaces "
        "what was said of the same result before.",
        "parameters": [_PREDICTION_ID],
        "requestBody": _body(
            {
                "application/json": {
                    "schema": {"$ref": _REF.format(name="FeedbackBody")},
                    "example": {"label": "cat"},
                }
            }
        ),
        "responses": _responses("What is now kept", {"type": "object"}, FEEDBACK_EXAMPLE)
        | _problems(400, 403, 404, 408, 413, 415, 503),
        "x-curl": FEEDBACK_CURL,
    }


def _deleted() -> Json:
    return {
        "operationId": "deletePrediction",
        "summary": "Delete a prediction, what was said of it, and its kept picture",
        "parameters": [_PREDICTION_ID],
        "responses": _responses("It is gone", {"type": "object"}, {"deleted": EXAMPLE_ID})
        | _problems(403, 404, 503),
        "x-curl": [
            {"title": "Delete", "command": "curl -X DELETE {base}/api/predictions/ID"},
        ],
    }


def _accuracy() -> Json:
    schema = _object(
        {
            **{name: {"type": ["string", "null"]} for name in FILTER_NAMES},
            "report": {"$ref": _REF.format(name="AccuracyReport")},
        },
        [*FILTER_NAMES, "report"],
    )
    return {
        "operationId": "accuracy",
        "summary": "How good the answers are, out of what people said of them",
        "description": "Every share has the ends of its 95 % interval (Wilson).",
        "parameters": [_parameter(each) for each in FILTERS],
        "responses": _responses("The figures", schema, ACCURACY_EXAMPLE) | _problems(400, 403, 503),
        "x-curl": ACCURACY_CURL,
    }


def _ready() -> Json:
    ready = _simple("Is every model loaded and warm?", READY_EXAMPLE)
    ready["responses"]["503"] = {"description": "Not every model is ready"}
    return ready


def _metrics() -> Json:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": "Every metric, for Prometheus",
        "responses": {"200": {"description": "The metrics", "content": content}},
        "x-curl": [{"title": "All metrics", "command": "curl {base}/metrics"}],
    }


def _simple(summary: str, example: object) -> Json:
    return {"summary": summary, "responses": _responses(summary, {"type": "object"}, example)}


def _parameter(option: Mapping[str, Any]) -> Json:
    return {**option, "in": "query", "required": False}


def _body(content: Json) -> Json:
    return {"required": False, "content": content}  # a picture may be named in the query


def _responses(description: str, schema: Json, example: object) -> Json:
    content: Json = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"200": {"description": description, "content": {"application/json": content}}}


def _problems(*statuses: int) -> Json:
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> Json:
    slugs = [row["slug"] for row in problem_rows() if row["status"] == status]
    content: Json = {"schema": {"$ref": _REF.format(name="Problem")}}
    if status == PROBLEM_EXAMPLE["status"]:
        content["example"] = PROBLEM_EXAMPLE
    return {"description": ", ".join(slugs), "content": {PROBLEM_JSON: content}}


def _object(properties: Json, required: Sequence[str]) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _text(description: str) -> Json:
    return {"type": "string", "description": description}
