"""What a replica does: holds models, decodes the pictures that come, answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog
from ray import serve

from tintype.errors import TintypeError, UnknownModel
from tintype.log_setup import set_up_logs
from tintype.models.card import Card
from tintype.predict import Predictor
from tintype.predict.message import read_question, reply_bytes
from tintype.settings import Settings
from tintype.wiring.plans import LeftOut, make_plans
from tintype.wiring.running import running

_CLOSE_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)


class Models:
    """The deployment of one model, or of a few that share their pictures."""

    async def __init__(self, cards: tuple[Card, ...], settings: Settings) -> None:  # type: ignore[misc]  # Ray waits for it
        """Load every card's versions. Raises ModelFileError: Ray tells it as the cause."""
        set_up_logs(settings.log)
        self._loaded = await load(cards, settings)

    async def about(self, model: str) -> str:
        """The precision of ``NAME@VERSION``; without a model, that the replica is there."""
        return self._loaded.predictor.model(model).precision if model else ""

    async def answer(self, image: bytes, question: bytes) -> bytes:
        """One picture and a question about it; the reply. See ``predict/message.py``."""
        return await self._loaded.answer(image, question)

    async def __del__(self) -> None:
        """Ray calls it when the replica is to end, and has no request left."""
        if loaded := getattr(self, "_loaded", None):
            await loaded.close()


class SharedModels:
    """The deployment of many small models: each is loaded when it is asked for.

    A replica holds ``most`` at once; what was not asked for the longest leaves. Ray asks replicas
    that hold the model already.
    """

    async def __init__(self, cards: tuple[Card, ...], settings: Settings, most: int) -> None:  # type: ignore[misc]  # Ray waits for it
        set_up_logs(settings.log)
        self._cards = {card.name: card for card in cards}

        async def load_model(name: str) -> Loaded:
            card = self._cards.get(name)
            if card is None:
                raise UnknownModel(f"no model {name!r} is served")
            return await load((card,), settings)

        self._load = serve.multiplexed(max_num_models_per_replica=most)(load_model)

    async def about(self, model: str) -> str:
        """That the replica is there."""
        del model
        return ""

    async def answer(self, image: bytes, question: bytes) -> bytes:
        """As ``Models.answer``, by the model that the call names."""
        try:
            loaded: Loaded = await self._load(serve.get_multiplexed_model_id())
        except TintypeError as error:
            return reply_bytes(error)
        return await loaded.answer(image, question)


class Loaded:
    """Models that are loaded, until it is closed: then those at work are waited for."""

    def __init__(self, predictor: Predictor, stack: AsyncExitStack) -> None:
        self.predictor = predictor
        self._stack = stack
        self._loop = asyncio.get_running_loop()
        self._users = 0
        self._free = asyncio.Event()
        self._free.set()
        self._closed = False

    async def answer(self, image: bytes, question: bytes) -> bytes:
        """The prediction or the error, for its way back."""
        async with self._used():
            try:
                return reply_bytes(await self.predictor.predict(read_question(question, image)))
            except TintypeError as error:
                return reply_bytes(error)

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        self._users += 1
        self._free.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._free.set()

    async def close(self) -> None:
        """Wait for those at work, and give everything back."""
        if not self._closed:
            self._closed = True
            await self._free.wait()
            await self._stack.aclose()

    def __del__(self) -> None:
        """Ray calls it, in a thread, when the model makes room for another.

        Python may call it once more, in the loop's own thread, where nothing can be waited for.
        """
        if not self._closed and self._loop.is_running() and not _in_loop():
            asyncio.run_coroutine_threadsafe(self.close(), self._loop).result(_CLOSE_SECONDS)


async def load(cards: tuple[Card, ...], settings: Settings) -> Loaded:
    """Plan and load, within this process. Raises ModelFileError, ServingError, SettingsError."""
    async with AsyncExitStack() as stack:
        absent: list[LeftOut] = []
        plans = await make_plans(
            cards, left_out=absent.append, patient=True, device=settings.engine.device
        )
        services = await stack.enter_async_context(
            running(plans, settings=settings, left_out=_note, absent=tuple(absent), pinned=True)
        )
        return Loaded(services.predictor, stack.pop_all())


def within_share(settings: Settings, *, cpus: float) -> Settings:
    """The settings of a replica: its engine takes the cores that Ray gives it, no more."""
    if settings.engine.threads:
        return settings
    return replace(settings, engine=replace(settings.engine, threads=max(1, math.ceil(cpus))))


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _note(left: LeftOut) -> None:
    log.warning("model left out", model=left.card.name, reason=left.error.message)
