"""The model card: what ``model.toml`` beside a model file says about it.

A bare model file needs none; ``bare_card`` makes the card it would have had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tintype.modelfiles.description import ReadOptions
from tintype.types import RemoteModel, Task, name_text

CARD_NAME = "model.toml"
_GENERIC_STEMS = frozenset(
    {"model", "model.weights", "saved_model", "graph", "frozen_graph", "weights"}
)
"""File names that say nothing: the folder's name says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSize:
    """The size of picture to feed where the file takes any, in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRules:
    """Which of a model's version folders answers whom.

    ``stable`` None: the highest number that is not the canary. The ``canary`` answers a ``share``
    (0..1) of the pictures. ``shadow``: it is also asked, unseen, about those that ``stable``
    answers, and what differs is noted.
    """

    stable: str | None = None
    canary: str | None = None
    share: float = 0.0
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Pictures whose labels are known: a version below ``accuracy`` (0..1) is never swapped in.

    ``pictures`` is a folder with a subfolder a label, or a CSV of ``file,label``.
    """

    pictures: Path
    accuracy: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """How ``tintype tune`` found that a model runs best on a machine; see ``EngineOptions``.

    ``precision`` is ``f32``, ``bf16``, or ``int8`` with a ``graph`` (OpenVINO IR, its weights
    beside it) whose content has ``graph_sha256``. What else than f32 was judged for ``sources``,
    the files of the model, as long as their content has ``sources_sha256``; for ``ends``, the names
    of the graph's input and outputs; and for ``recipe``, as JSON. ``evidence`` is for people.
    """

    precision: str = "f32"
    threads: int = 0
    streams: int = 1
    batch: int = 1
    graph: Path | None = None
    graph_sha256: str = ""
    sources: tuple[Path, ...] = ()
    sources_sha256: str = ""
    ends: tuple[str, ...] = ()
    recipe: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model as its owner wants it served. Only ``name`` and ``file`` are always there.

    ``labels`` is a file beside the model, ``class_names`` the names themselves. ``recipe`` and
    ``view`` are tables in the language of ``imaging.recipe``. ``read`` overrides what is found
    by structure. ``threshold`` (0..1) leaves lower scores out. ``deadline_seconds`` is the longest
    wait for this model, from when it is asked; ``fallback`` the labels told when it gives no
    answer. ``found``: nobody named this file, it lies in a folder that was named; when it cannot
    be served, the others are.
    ``remote``: another server runs the model, and ``file`` is the card itself.
    ``cluster``: what it says of its replicas over the settings, see ``ClusterPolicy``; ``group``:
    models with the same run together.
    ``device``: what it runs on, whatever the settings say, see ``EngineOptions``.
    ``allow_code``: a Keras file with code may be converted by the framework itself, which runs it.

    Of a model with version folders this is the card of the version to serve: ``earlier`` are the
    versions to fall back on at the start, the best first, ``canary`` is the other one to load.
    ``folder`` holds this model (this version) and nothing else, None for a bare file.
    """

    name: str
    file: Path
    version: str = "1"
    title: str = ""
    description: str = ""
    labels: Path | None = None
    class_names: tuple[str, ...] = ()
    task: Task | None = None
    top: int | None = None
    threshold: float | None = None
    deadline_seconds: float | None = None
    fallback: tuple[str, ...] = ()
    engine: str | None = None
    device: str | None = None
    allow_code: bool = False
    recipe: Mapping[str, object] = field(default_factory=dict)
    view: Mapping[str, object] = field(default_factory=dict)
    size: InputSize | None = None
    read: ReadOptions = field(default_factory=ReadOptions)
    versions: VersionRules = field(default_factory=VersionRules)
    golden: Golden | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict)
    remote: RemoteModel | None = None
    tuned: Tuned | None = None
    found: bool = False
    folder: Path | None = None
    earlier: tuple[Card, ...] = ()
    canary: Card | None = None

    @property
    def may_be_absent(self) -> bool:
        """Whether the others are served when this one cannot be: found, or with a fallback."""
        return self.found or bool(self.fallback)


NOT_KEYS = frozenset({"found", "folder", "earlier", "canary"})
"""Fields of a card that nobody writes: they are found."""


def bare_card(path: Path) -> Card:
    """The card of a model file (or SavedModel folder) that has none, named after the file."""
    named = path.parent if path.stem.lower() in _GENERIC_STEMS and path.parent.name else path
    return Card(name=name_text(named.stem if named is path else named.name), file=path)
