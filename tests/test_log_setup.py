"""Logs go to stderr and hold nothing that people sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from tintype.log_setup import set_up_logs


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Structlog is configured for the whole process: put it back."""
    yield
    structlog.reset_defaults()


SECRET = "hunter2"


def fail(secret: str) -> None:
    raise ValueError(f"length {len(secret)}")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_local_variables(as_json, capsys: pytest.CaptureFixture):
    """What a function was given never reaches the log."""
    set_up_logs(as_json=as_json)
    try:
        fail(SECRET)
    except ValueError as error:
        structlog.get_logger().error("broken", exc_info=error)
    told = capsys.readouterr()
    assert "" == told.out
    assert "ValueError" in told.err
    assert SECRET not in told.err


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture):
    """Level, time and what was bound."""
    set_up_logs(as_json=True)
    structlog.get_logger().info("request", status=200)
    line = json.loads(capsys.readouterr().err)
    assert ("request", "info", 200) == (line["event"], line["level"], line["status"])
