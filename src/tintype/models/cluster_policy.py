"""How models run on a cluster: what the settings say for all, and a card for its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tintype.errors import SettingsError

CARD_KEYS: Final = (
    "replicas_min",
    "replicas_max",
    "cpus",
    "gpus",
    "target_ongoing",
    "max_ongoing",
    "max_queued",
)
"""What ``[cluster]`` in a card may say otherwise for its model."""
WHOLE_KEYS: Final = frozenset({"replicas_min", "replicas_max", "max_ongoing", "max_queued"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPolicy:
    """Replicas of each model, and of the front that takes requests. Raises SettingsError.

    A replica holds ``cpus`` cores and ``gpus`` GPUs (a part of one, too). Replicas are added while
    more than ``target_ongoing`` pictures a replica are at work or wait for ``upscale_seconds``, and
    taken away after fewer for ``downscale_seconds``. One takes ``max_ongoing`` at most;
    ``max_queued`` wait in a front for one that is free. ``models_per_replica``: 1 gives every model
    replicas of its own; more puts all into replicas that load what is asked for, that many each.
    """

    replicas_min: int = 1
    replicas_max: int = 4
    cpus: float = 1.0
    gpus: float = 0.0
    target_ongoing: float = 8.0
    max_ongoing: int = 32
    max_queued: int = 256
    upscale_seconds: float = 10.0
    downscale_seconds: float = 300.0
    models_per_replica: int = 1
    fronts_min: int = 1
    fronts_max: int = 1
    front_cpus: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_ongoing", "models_per_replica", "fronts_min"):
            if getattr(self, name) < 1:
                raise SettingsError(f"cluster.{name} is {getattr(self, name)}, expected 1 or more")
        for least, most in (("replicas_min", "replicas_max"), ("fronts_min", "fronts_max")):
            if getattr(self, most) < max(1, getattr(self, least)):
                raise SettingsError(
                    f"cluster.{most} is {getattr(self, most)}, expected 1 or more, "
                    f"and cluster.{least} ({getattr(self, least)}) at least"
                )
        if self.target_ongoing <= 0:
            raise SettingsError("cluster.target_ongoing is 0, expected more")

    def of(self, card: Mapping[str, Any]) -> ClusterPolicy:
        """The same with what a card's ``[cluster]`` says. Raises SettingsError."""
        return replace(self, **{key: card[key] for key in CARD_KEYS if key in card})
