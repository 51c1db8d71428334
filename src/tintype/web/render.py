"""HTML out of templates. Every value is escaped; a name that a template misspells is an error."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: object) -> str:
    """Fill a template of ``templates/``."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    # Not needed before the first page is asked for, and a server must be ready fast.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, milliseconds=milliseconds, number=number, flat=flat, size=size
    )
    return environment


def percent(score: float) -> str:
    """A score 0..1 for people: ``98.2 %``, never rounded up to certainty or down to nothing."""
    if score <= 0 or score >= 1:
        return f"{score * 100:.0f} %"
    if score < 0.001:
        return "< 0.1 %"
    return f"{min(score * 100, 99.9):.1f} %"


def milliseconds(seconds: float) -> str:
    """A duration for people."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def number(value: float) -> str:
    """A number with at most four figures behind the point."""
    return f"{round(value, 4):g}"


def size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.3g} MiB"


def flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """A nested mapping as lines: dotted name, value. What is not set is left out."""
    if isinstance(value, dict):
        return [
            line
            for key, part in value.items()
            for line in flat(part, f"{name}.{key}" if name else str(key))
            if part not in (None, [], (), "")
        ]
    return [(name, _word(value))]


def _word(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, list | tuple):
        return ", ".join(_word(part) for part in value)
    return str(value)
