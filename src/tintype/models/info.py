"""What is told about a served model: the value behind ``GET /api/models``."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tintype.types import Layout, Shape, Task


class Health(enum.StrEnum):
    """The life of a served model. ``UNREACHABLE``: the server that runs it is down just now."""

    LOADING = "loading"
    READY = "ready"
    UNREACHABLE = "unreachable"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputInfo:
    """The input that takes the picture; ``None`` where any length goes."""

    name: str
    shape: Shape
    dtype: str
    layout: Layout
    height: int | None
    width: int | None
    channels: int
    batch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One loaded version. ``share`` of the pictures is answered by it, 0 to 1.

    ``shadow``: it is also asked, unseen, about pictures that the stable version answers.
    """

    version: str
    alias: str
    share: float
    shadow: bool
    health: Health


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is served and how. ``file`` is a name, never a path of the server.

    ``deadline_seconds`` and ``fallback`` are the card's. ``first_class`` is the number that a
    detector itself gives to the first of ``labels``, see ``DetectionOutput``.
    ``refused`` says why the last change to the model was not taken, empty when it was.
    """

    name: str
    version: str
    title: str
    description: str
    task: Task
    file: str
    format: str
    writer: str | None
    engine: str
    engine_reason: str
    device: str
    precision: str
    health: Health
    input: InputInfo
    recipe: dict[str, object]
    recipe_is_guess: bool
    recipe_reasons: tuple[str, ...]
    recipe_override: str
    view: dict[str, object]
    labels: tuple[str, ...]
    labels_source: str
    activation: str | None
    activation_reason: str
    top: int
    threshold: float | None
    warnings: tuple[str, ...]
    parameters: int | None
    deadline_seconds: float | None = None
    fallback: tuple[str, ...] = ()
    first_class: int = 0
    versions: tuple[VersionInfo, ...] = ()
    refused: str = ""
