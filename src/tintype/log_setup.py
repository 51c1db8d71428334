"""Logs go to stderr: pretty lines on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import sys

import structlog


def set_up_logs(*, as_json: bool | None = None) -> None:
    """Configure structlog once for this process. ``as_json`` None: JSON unless on a terminal."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
