"""Logs go to stderr: pretty lines on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import sys

import structlog


def set_up_logs(*, as_json: bool | None = None) -> None:
    """Configure structlog once for this process. ``as_json`` None: JSON unless on a terminal."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    # no local variables in tracebacks: they hold what people sent
    if as_json:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendering: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(),
        ]
    else:
        plain = structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
