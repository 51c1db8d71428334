"""The operations of the OpenAPI document: each route, what it takes and what it answers."""

from __future__ import annotations

from tintype.web.accuracy import FILTER_NAMES
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
    READY_EXAMPLE,
    RECORDED_EXAMPLE,
)
from tintype.web.openapi_parameters import FILTERS, NAMED, OPTIONS, PREDICTION_ID
from tintype.web.openapi_parts import (
    REF,
    Json,
    body,
    object_of,
    parameter,
    problems,
    responses,
    text,
)


def operations() -> Json:
    """Every path, and its operations by method."""
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
    json_body = object_of(
        {
            "image": text("Base64, either alphabet, or a data URL."),
            **{named["name"]: text(named["description"]) for named in NAMED},
        },
        [],
    )
    return {
        "operationId": "predict",
        "summary": "One picture, one or more models, none or more points",
        "description": "The options may come as query, as form fields or as JSON keys.",
        "parameters": [parameter(option) for option in (*OPTIONS, *NAMED)],
        "requestBody": body(
            {
                "image/*": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {
                    "schema": object_of(
                        {"image": {"type": "string", "format": "binary"}}, ["image"]
                    )
                },
                "application/json": {"schema": json_body, "example": {"image": "/9j/4AAQ..."}},
            }
        ),
        "responses": responses(
            "The prediction", {"$ref": REF.format(name="Prediction")}, PREDICTION_EXAMPLE
        )
        | problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503, 504),
        "x-curl": PREDICT_CURL,
    }


def _batch() -> Json:
    encoded = text("Base64, either alphabet, or a data URL.")
    named = [object_of({name["name"]: text(name["description"])}, [name["name"]]) for name in NAMED]
    images = {"type": "array", "items": {"anyOf": [encoded, *named]}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    item = {
        "anyOf": [
            {"$ref": REF.format(name="Prediction")},
            object_of({"error": {"$ref": REF.format(name="Problem")}}, ["error"]),
        ]
    }
    return {
        "operationId": "predictBatch",
        "summary": "Many pictures; one bad picture harms no other",
        "description": "The options hold for every picture. The answer keeps the order.",
        "parameters": [parameter(option) for option in (*OPTIONS, *NAMED)],
        "requestBody": body(
            {
                "multipart/form-data": {"schema": object_of({"image": files}, ["image"])},
                "application/json": {
                    "schema": object_of({"images": images}, ["images"]),
                    "example": {"images": ["/9j/4AAQ...", "iVBORw0KGgo..."]},
                },
            }
        ),
        "responses": responses(
            "A prediction, or an error, for each picture",
            {"type": "array", "items": item},
            BATCH_EXAMPLE,
        )
        | problems(400, 401, 403, 404, 408, 413, 415, 429, 503),
        "x-curl": BATCH_CURL,
    }


def _models() -> Json:
    text = {"type": "string"}
    missing = dict.fromkeys(("name", "version", "task", "health"), text)
    missing |= {"error": {"$ref": REF.format(name="ResultError")}}
    schema = object_of(
        {
            "models": {"type": "array", "items": {"$ref": REF.format(name="ModelInfo")}},
            "absent": {"type": "array", "items": object_of(missing, list(missing))},
        },
        ["models", "absent"],
    )
    return {
        "operationId": "models",
        "summary": "What is served, and how",
        "responses": responses("Every model", schema, {"models": [MODEL_EXAMPLE], "absent": []}),
        "x-curl": [{"title": "All models", "command": "curl {base}/api/models"}],
    }


def _model() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "operationId": "model",
        "summary": "One model: input, recipe, labels, engine, health",
        "parameters": [name | {"description": "The model's name."}],
        "responses": responses("The model", {"$ref": REF.format(name="ModelInfo")}, MODEL_EXAMPLE)
        | problems(404),
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
        "responses": told["responses"] | problems(403, 404, 409, 503),
        "x-curl": [
            {"title": "Load it anew", "command": "curl -X POST {base}/api/models/pets/reload"}
        ],
    }


def _recorded() -> Json:
    return {
        "operationId": "prediction",
        "summary": "A recorded prediction, with what was said of it",
        "parameters": [PREDICTION_ID],
        "responses": responses(
            "The prediction as it was answered", {"type": "object"}, RECORDED_EXAMPLE
        )
        | problems(403, 404, 503),
        "x-curl": [{"title": "One prediction", "command": "curl {base}/api/predictions/ID"}],
    }


def _feedback() -> Json:
    return {
        "operationId": "feedback",
        "summary": "Say whether a prediction was right",
        "description": "One of `correct`, `label` and `picked`; `model`, and `x` with `y`, where "
        "the prediction has several results. It is committed before it is answered, and replaces "
        "what was said of the same result before.",
        "parameters": [PREDICTION_ID],
        "requestBody": body(
            {
                "application/json": {
                    "schema": {"$ref": REF.format(name="FeedbackBody")},
                    "example": {"label": "cat"},
                }
            }
        ),
        "responses": responses("What is now kept", {"type": "object"}, FEEDBACK_EXAMPLE)
        | problems(400, 403, 404, 408, 413, 415, 503),
        "x-curl": FEEDBACK_CURL,
    }


def _deleted() -> Json:
    return {
        "operationId": "deletePrediction",
        "summary": "Delete a prediction, what was said of it, and its kept picture",
        "parameters": [PREDICTION_ID],
        "responses": responses("It is gone", {"type": "object"}, {"deleted": EXAMPLE_ID})
        | problems(403, 404, 503),
        "x-curl": [
            {"title": "Delete", "command": "curl -X DELETE {base}/api/predictions/ID"},
        ],
    }


def _accuracy() -> Json:
    schema = object_of(
        {
            **{name: {"type": ["string", "null"]} for name in FILTER_NAMES},
            "report": {"$ref": REF.format(name="AccuracyReport")},
        },
        [*FILTER_NAMES, "report"],
    )
    return {
        "operationId": "accuracy",
        "summary": "How good the answers are, out of what people said of them",
        "description": "Every share has the ends of its 95 % interval (Wilson).",
        "parameters": [parameter(each) for each in FILTERS],
        "responses": responses("The figures", schema, ACCURACY_EXAMPLE) | problems(400, 403, 503),
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
    return {"summary": summary, "responses": responses(summary, {"type": "object"}, example)}
