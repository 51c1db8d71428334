from __future__ import annotations

import pytest

from tintype import errors
from tintype.errors import BodyTooLarge, TintypeError
from tintype.web.errors import HTTP_PROBLEMS, TABLE, problem_of, row_of


def every_class(root=TintypeError):
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_class(child)


@pytest.mark.parametrize("cls", list(every_class()), ids=lambda cls: cls.__name__)
def test_every_class_of_error_has_a_row(cls):
    """A new class of error must be given a status before it can be raised in a request."""
    assert cls in TABLE


def test_every_slug_is_used_once():
    """A problem's type names one kind of error only."""
    slugs = [cls.type for cls in TABLE] + list(HTTP_PROBLEMS)
    assert sorted(set(slugs)) == sorted(slugs)


def test_only_an_unexpected_fault_is_a_500():
    """No class of error that is raised on purpose blames an unknown fault."""
    assert ["internal-error"] == [slug for slug, row in HTTP_PROBLEMS.items() if row.status == 500]
    assert not [cls for cls, row in TABLE.items() if row.status == 500]


def test_a_problem_tells_message_hint_and_facts():
    """What the error knows stands in the document: words for people, facts for programs."""
    error = BodyTooLarge("too long", hint="send less", limit=10, actual=11)
    assert {
        "type": "/problems/body-too-large",
        "title": "Body too large",
        "status": 413,
        "detail": "too long",
        "hint": "send less",
        "limit": 10,
        "actual": 11,
    } == problem_of(error)


def test_facts_cannot_hide_the_standard_members():
    """A fact called status does not change what is told of the status."""
    problem = problem_of(errors.MalformedRequest("bad", status="fine", type="x", detail="y"))
    assert (400, "/problems/malformed-request", "bad") == (
        problem["status"],
        problem["type"],
        problem["detail"],
    )


def test_a_class_without_a_row_is_told_as_its_parent():
    """Somebody else's subclass gets the status of the class it refines."""

    class Other(errors.ImageCorrupt):
        type = "other"

    assert TABLE[errors.ImageCorrupt] == row_of(Other("bad"))
