"""Keeps what is served like what lies in the folders, while requests go on.

A new version is loaded, warmed and put through its golden set beside the old one. Only then is it
put in the old one's place, in one step; the old one ends when its last picture is answered. What
fails changes nothing, and is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import structlog

from tintype.engines.give_back import give_back_memory
from tintype.errors import ModelFileError, ModelUnavailable, TintypeError, UnknownModel
from tintype.models.card import Card
from tintype.models.fingerprint import Fingerprint, fingerprint
from tintype.models.hosted import Hosted
from tintype.models.library import Find
from tintype.models.look import Look, Seen, look_at
from tintype.models.registry import Registry, Served

_LOOK_AGAIN_SECONDS: Final = 0.25
_MOST_LOOKS: Final = 40

Load: TypeAlias = Callable[[Card], Awaitable[Hosted]]
"""A card to a loaded host that has passed its golden set. Raises TintypeError."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """How often the folders of models are looked at, in seconds; 0 never looks.

    A change is acted on when two looks in turn saw the same: files still being copied are not.
    """

    poll_seconds: float = 2.0


class ModelEvents(Protocol):
    """Is told of changes of what is served. Must not block, await or raise."""

    def loaded(self, host: Hosted, *, seconds: float) -> None:
        """A version has been loaded and answers from now on."""
        ...

    def refused(self, name: str, error: TintypeError) -> None:
        """A change of the model was not taken; what was served goes on."""
        ...

    def removed(self, host: Hosted) -> None:
        """A version answers no more, and its memory has been given back."""
        ...


class Keeper:
    """Follows the folders while it is entered: looks at them, and changes the registry."""

    def __init__(
        self,
        registry: Registry,
        *,
        find: Find,
        load: Load,
        policy: WatchPolicy,
        events: tuple[ModelEvents, ...] = (),
    ) -> None:
        self._registry = registry
        self._find = find
        self._load_card = load
        self._policy = policy
        self._events = events
        self._prints: dict[Hosted, Fingerprint] = {}
        self._tried: dict[str, Seen] = {}
        self._told: dict[Path, str] = {}
        self._last = Look()
        self._turn = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Take what is served for what lies there now, then look again and again."""
        self._last = await asyncio.to_thread(look_at, self._find)
        for served in self._registry.all():
            seen = self._last.seen.get(served.name)
            if seen is not None and seen.stable.card.file == served.stable.plan.card.file:
                self._prints[served.stable] = seen.stable
        if self._policy.poll_seconds > 0:
            self._watch = asyncio.ensure_future(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more, and wait for the versions that are on their way out."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def look_now(self) -> None:
        """Look once, and act on every change that the look before saw too."""
        async with self._turn:
            look = await asyncio.to_thread(look_at, self._find)
            before, self._last = self._last, look
            self._tell_broken(look)
            for name, card in look.cards.items():
                settled = look.seen[name] == before.seen.get(name)
                if settled and self._tried.get(name) != look.seen[name]:
                    self._tried[name] = look.seen[name]
                    with contextlib.suppress(TintypeError):  # told to the events already
                        await self._take(name, card, anew=False)
            for name in self._registry.names():
                if name not in look.cards and name not in before.cards:
                    self._remove(name, look)

    async def reload(self, name: str) -> None:
        """Load a model anew from its files, whether they changed or not.

        Raises UnknownModel, and the ModelFileError or other TintypeError for which the old version
        stays.
        """
        async with self._turn:
            look = await self._settled_look(name)
            card = look.cards.get(name)
            if card is None:
                raise self._no_such(name, look)
            self._tried[name] = look.seen[name]
            await self._take(name, card, anew=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self.look_now()
            except Exception:  # the watch must outlast whatever lies in a folder
                log.exception("the folders of models could not be followed")
            await asyncio.sleep(self._policy.poll_seconds)

    async def _settled_look(self, name: str) -> Look:
        """A look at files that nobody is writing. Raises ModelUnavailable when somebody is."""
        look = await asyncio.to_thread(look_at, self._find)
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            before, look = look, await asyncio.to_thread(look_at, self._find)
            if look.seen.get(name) == before.seen.get(name):
                return look
        raise ModelUnavailable(
            f"the files of {name!r} have been changing for "
            f"{_MOST_LOOKS * _LOOK_AGAIN_SECONDS:g} s; a version is loaded when it is whole",
            hint="copy beside the folder, then move it in",
        )

    async def _take(self, name: str, card: Card, *, anew: bool) -> None:
        """Serve what the card says. Raises the first error; what did not fail is served."""
        served = self._registry.served(name)
        errors: list[TintypeError] = []
        stable = await self._stable(served, card, anew=anew, errors=errors)
        if stable is None:
            self._refuse(name, errors)
            raise errors[0]
        canary = served.canary if served is not None else None
        try:
            canary = await self._version(served, card.canary, anew=anew)
        except TintypeError as error:
            errors.append(error)
        rules = card.versions
        self._put(
            Served(
                stable=stable,
                canary=None if canary is stable else canary,
                share=rules.share,
                shadow=rules.shadow,
            )
        )
        if errors:
            self._refuse(name, errors)
            raise errors[0]

    async def _stable(
        self, served: Served | None, card: Card, *, anew: bool, errors: list[TintypeError]
    ) -> Hosted | None:
        """The version to serve: the card's; else the one served; else the best earlier one."""
        for each in (card, *(card.earlier if served is None else ())):
            try:
                return await self._version(served, each, anew=anew)
            except TintypeError as error:
                errors.append(error)
        return None if served is None else served.stable

    async def _version(
        self, served: Served | None, card: Card | None, *, anew: bool
    ) -> Hosted | None:
        """The host of a card: one that is loaded already, or a new one. Raises TintypeError."""
        if card is None:
            return None
        try:
            wanted = await asyncio.to_thread(fingerprint, card)
            if served is not None and not anew:
                for host in served.hosts():
                    if self._prints.get(host) == wanted:
                        return host
            begun = time.monotonic()
            host = await self._load_card(card)
        except OSError as error:
            raise ModelFileError(f"{card.file}: {error.strerror or error}") from error
        except TintypeError:
            raise
        except Exception as error:  # whatever lies in a folder, the watch goes on
            log.exception("a model could not be loaded", model=card.name, version=card.version)
            raise ModelFileError(f"{card.file}: {type(error).__name__}: {error}") from error
        self._prints[host] = wanted
        for event in self._events:
            event.loaded(host, seconds=time.monotonic() - begun)
        return host

    def _put(self, served: Served) -> None:
        """The swap: one step, then the versions that nobody asks any more end."""
        before = self._registry.served(served.name)
        self._registry.put(served)
        if before is not None:
            self._retire(host for host in before.hosts() if host not in served.hosts())

    def _remove(self, name: str, look: Look) -> None:
        """Serve a model no more whose files have gone, unless its folder cannot be read now."""
        served = self._registry.served(name)
        file = served.stable.plan.card.file if served is not None else Path()
        error = look.trouble_with(file)
        if served is None:
            return
        if error is not None:
            self._registry.put(replace(served, refused=_public(error, served)))
            return
        self._registry.drop(name)
        self._tried.pop(name, None)
        self._retire(served.hosts())

    def _retire(self, hosts: Iterable[Hosted]) -> None:
        for host in hosts:
            self._prints.pop(host, None)
            task = asyncio.ensure_future(self._end(host))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _end(self, host: Hosted) -> None:
        await self._registry.retire(host)
        await asyncio.to_thread(give_back_memory)
        for event in self._events:
            event.removed(host)

    def _refuse(self, name: str, errors: list[TintypeError]) -> None:
        served = self._registry.served(name)
        if served is not None:
            words = "; ".join(_public(error, served) for error in errors)
            self._registry.put(replace(served, refused=words))
        for error in errors:
            for event in self._events:
                event.refused(name, error)

    def _tell_broken(self, look: Look) -> None:
        """Log each trouble once, until it changes."""
        for path, error in look.broken.items():
            if self._told.get(path) != error.message:
                log.warning("models cannot be read", path=str(path), reason=error.message)
        self._told = {path: error.message for path, error in look.broken.items()}

    def _no_such(self, name: str, look: Look) -> TintypeError:
        """Why a name cannot be loaded anew."""
        served = self._registry.served(name)
        if served is None:
            return UnknownModel(f"no model {name!r} is served", hint="GET /api/models lists them")
        file = served.stable.plan.card.file
        broken = look.trouble_with(file)
        return broken or ModelFileError(
            f"the files of {name!r} have gone; it will not be served for long"
        )


def _public(error: TintypeError, served: Served) -> str:
    """The words of an error without the folders of this machine: everybody may read them."""
    card = served.stable.plan.card
    folder = (card.folder or card.file.parent).parent
    return error.message.replace(f"{folder}{os.sep}", "")
