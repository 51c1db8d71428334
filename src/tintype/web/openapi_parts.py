"""What the operations of the OpenAPI document are put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tintype.web.errors import HTTP_PROBLEMS, PROBLEM_JSON, TABLE
from tintype.web.openapi_examples import PROBLEM_EXAMPLE

Json = dict[str, Any]
REF: Final = "#/components/schemas/{name}"


def problem_rows() -> list[Json]:
    """Every kind of problem that may be answered, for people: slug, status, title, when."""
    ours = [(cls.type, row) for cls, row in TABLE.items()]
    return [
        {"slug": slug, "status": row.status, "title": row.title, "when": row.when}
        for slug, row in [*ours, *HTTP_PROBLEMS.items()]
    ]


def parameter(option: Mapping[str, Any]) -> Json:
    """A parameter that may be given in the query."""
    return {**option, "in": "query", "required": False}


def body(content: Json) -> Json:
    """A body of one of these types."""
    return {"required": False, "content": content}  # a picture may be named in the query


def responses(description: str, schema: Json, example: object) -> Json:
    """What is answered when all went well."""
    content: Json = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"200": {"description": description, "content": {"application/json": content}}}


def problems(*statuses: int) -> Json:
    """The problems that come with these statuses."""
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> Json:
    slugs = [row["slug"] for row in problem_rows() if row["status"] == status]
    content: Json = {"schema": {"$ref": REF.format(name="Problem")}}
    if status == PROBLEM_EXAMPLE["status"]:
        content["example"] = PROBLEM_EXAMPLE
    return {"description": ", ".join(slugs), "content": {PROBLEM_JSON: content}}


def object_of(properties: Json, required: Sequence[str]) -> Json:
    """A schema: an object with these properties."""
    return {"type": "object", "properties": properties, "required": list(required)}


def text(description: str) -> Json:
    """A schema: a text."""
    return {"type": "string", "description": description}
