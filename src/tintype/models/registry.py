"""The models that are served now: which versions there are, who answers a picture, who uses whom.

Belongs to the event loop: nothing here waits, so every change is whole before anybody looks.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from tintype.models.absent import AbsentModel
from tintype.models.hosted import Hosted
from tintype.models.info import Health, ModelInfo, VersionInfo

_SAMPLED_BYTES: Final = 1024
STABLE, CANARY = "stable", "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model: its versions, and why the last change to it was refused, if it was."""

    stable: Hosted
    canary: Hosted | None = None
    share: float = 0.0
    shadow: bool = False
    refused: str = ""

    @property
    def name(self) -> str:
        """The name it is served under."""
        return self.stable.name

    def hosts(self) -> tuple[Hosted, ...]:
        """Every loaded version."""
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    def version(self, asked: str) -> Hosted | None:
        """A version by its alias or by its number."""
        if asked == STABLE:
            return self.stable
        if asked == CANARY:
            return self.canary
        return next((host for host in self.hosts() if host.version == asked), None)

    def info(self, host: Hosted) -> ModelInfo:
        """What is told about one version, and that there are others."""
        return replace(
            host.info(),
            versions=tuple(
                VersionInfo(
                    version=each.version,
                    alias=STABLE if each is self.stable else CANARY,
                    share=self.share if each is self.canary else 1 - self.share,
                    shadow=self.shadow and each is self.canary,
                    health=each.health,
                )
                for each in self.hosts()
            ),
            refused=self.refused,
        )


class Registry:
    """Every served model by its name, in the order given.

    A host is held while a picture is at work with it; ``retire`` waits for that. Leaving the
    context drains and closes every host that is left.
    """

    def __init__(self, hosts: Iterable[Hosted] = (), *, absent: Iterable[AbsentModel] = ()) -> None:
        self._served = {host.name: Served(stable=host) for host in hosts}
        self._absent: dict[str, AbsentModel] = {}
        for model in absent:
            self.lack(model)
        self._held: Counter[Hosted] = Counter()
        self._free: dict[Hosted, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hosts = [host for served in self._served.values() for host in served.hosts()]
        for host in reversed(hosts):
            await host.__aexit__(None, None, None)

    def all(self) -> tuple[Served, ...]:
        """Every served model."""
        return tuple(self._served.values())

    def served(self, name: str) -> Served | None:
        """One served model by its bare name."""
        return self._served.get(name)

    def put(self, served: Served) -> None:
        """Serve this from now on, in the place of what had its name. The old hosts live on."""
        self._served[served.name] = served
        self._absent.pop(served.name, None)

    def drop(self, name: str) -> None:
        """Serve it no more. Its hosts live on."""
        del self._served[name]

    def lack(self, model: AbsentModel) -> None:
        """Note that a model was meant to be served and could not be loaded."""
        if model.name not in self._served:
            self._absent[model.name] = model

    def absent(self, name: str) -> AbsentModel | None:
        """A model that was meant to be served and could not be loaded."""
        return self._absent.get(name)

    def all_absent(self) -> tuple[AbsentModel, ...]:
        """Every model that was meant to be served and could not be loaded."""
        return tuple(self._absent.values())

    def names(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(self._served)

    def find(self, asked: str) -> tuple[Served, Hosted | None] | None:
        """A model and the version asked for: ``pets@2``, ``pets@canary``; None for a bare name."""
        served = self._served.get(asked)
        if served is not None:
            return served, None
        name, _, version = asked.rpartition("@")
        served = self._served.get(name)
        host = served.version(version) if served is not None else None
        return None if served is None or host is None else (served, host)

    def choose(self, asked: str, image: bytes) -> Hosted | None:
        """The version that answers ``image``: the one asked for, else stable or canary."""
        found = self.find(asked)
        if found is None:
            return None
        served, host = found
        return host or _chosen(served, image)

    def choose_all(self, image: bytes) -> tuple[Hosted, ...]:
        """The version of every model that answers ``image``."""
        return tuple([_chosen(served, image) for served in self._served.values()])

    @contextmanager
    def holding(self, hosts: Sequence[Hosted]) -> Iterator[None]:
        """Keep these hosts loaded meanwhile. Enter it in the turn in which they were chosen."""
        for host in hosts:
            self._held[host] += 1
        try:
            yield
        finally:
            for host in hosts:
                self._held[host] -= 1
                if not self._held[host]:
                    del self._held[host]
                    if host in self._free:
                        self._free.pop(host).set()

    async def retire(self, host: Hosted) -> None:
        """Wait until nobody uses a host that is served no more, then drain and close it."""
        if self._held[host]:
            await self._free.setdefault(host, asyncio.Event()).wait()
        await host.__aexit__(None, None, None)

    def ready(self) -> bool:
        """Whether each stable version is loaded and warm, but for remotes that are down.

        They come back by themselves, and the others answer; where no other is, it is not ready.
        """
        health = {served.stable.health for served in self._served.values()}
        return Health.READY in health and health <= {Health.READY, Health.UNREACHABLE}


def _chosen(served: Served, image: bytes) -> Hosted:
    if served.canary is not None and share_of(image) < served.share:
        return served.canary
    return served.stable


def share_of(image: bytes) -> float:
    """Where a picture stands from 0 to 1: the same bytes always at the same place.

    So a picture that is sent again is answered by the same version. Of a long file bytes all along
    it are taken, which is enough to tell compressed pictures apart and costs microseconds.
    """
    step = max(1, len(image) // _SAMPLED_BYTES)
    return zlib.crc32(image[::step], len(image)) / 2**32
