"""When to close a batch. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tintype.errors import SettingsError

_MOST: Final = 8
_MOST_TOGETHER: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPolicy:
    """How pictures are put together.

    ``max_batch``: most pictures in one run of the engine; 0 leaves it to the kind of engine, see
    ``settled``. ``max_queue``: most pictures that may wait. ``linger_seconds``: how long an idle
    engine waits for company for the oldest picture; 0, the default, closes batches by arrival:
    while the engine is at work the next batch grows, and an idle engine takes what is there.
    Raises SettingsError for values out of range.
    """

    max_batch: int = 0
    max_queue: int = 256
    linger_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("max_batch", 0), ("max_queue", 1)):
            value = getattr(self, name)
            if value < least:
                raise SettingsError(f"batching.{name} is {value}, expected {least} or more")
        if not 0.0 <= self.linger_seconds <= 1.0:
            raise SettingsError(
                f"batching.linger_seconds is {self.linger_seconds}, expected 0 to 1"
            )


def settled(policy: BatchPolicy, *, together: bool) -> BatchPolicy:
    """The policy with a largest batch: 8 if it says none, 64 for an engine that gains by them.

    ``together``: a GPU, which runs many pictures at once in little more time than one.
    """
    most = policy.max_batch or (_MOST_TOGETHER if together else _MOST)
    return replace(policy, max_batch=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Take so many pictures now; or none, and look again in ``wait_seconds`` (None: on arrival)."""

    take: int
    wait_seconds: float | None = None


def close_batch(
    policy: BatchPolicy,
    *,
    alike: int,
    oldest_waits: float,
    idle: int = 1,
    engine_batch: int | None = None,
) -> Decision:
    """Decide for the first of some idle streams of an engine.

    Args:
        policy: the rule's numbers, ``settled``.
        alike: pictures waiting that have the shape of the oldest, the oldest included.
        oldest_waits: seconds since the oldest of them came.
        idle: streams that have nothing to do, 1 or more. They share what waits, because side by
            side is quicker than in one batch.
        engine_batch: the only batch size the engine takes, None where any goes. A fixed size is
            the most that is taken: a larger batch would run in parts, and all would wait for the
            last part.
    """
    most = engine_batch or policy.max_batch
    lingers = policy.linger_seconds - oldest_waits
    if alike == 0 or (alike < most and lingers > 0):
        return Decision(take=0, wait_seconds=lingers if alike else None)
    share = alike if engine_batch else -(-alike // idle)
    return Decision(take=min(share, most))
