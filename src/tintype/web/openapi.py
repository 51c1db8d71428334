"""The OpenAPI 3.1 document, written by hand around the schemas of our own values."""

from __future__ import annotations

import functools
from typing import Final

import msgspec

from tintype import __version__
from tintype.models.info import ModelInfo
from tintype.record.accuracy import AccuracyReport
from tintype.types import Prediction
from tintype.web.openapi_operations import operations
from tintype.web.openapi_parts import REF, Json, problems
from tintype.web.predictions import FeedbackBody

_OPEN: Final = ("/live", "/ready", "/openapi.json")
_SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Where keys are asked for."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


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


def _schemas() -> Json:
    _, schemas = msgspec.json.schema_components(
        (Prediction, ModelInfo, FeedbackBody, AccuracyReport),
        schema_hook=_any_value,
        ref_template=REF,
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
        path: methods if path in _OPEN else _guarded(methods)
        for path, methods in operations().items()
    }


def _guarded(methods: Json) -> Json:
    return {
        method: {
            **operation,
            "responses": problems(400, 401, 403, 429) | operation["responses"],
        }
        for method, operation in methods.items()
    }
