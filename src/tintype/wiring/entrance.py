"""What stands before a request: the door that asks for keys, and named pictures."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tintype.access.door import Door
from tintype.access.keyring import Keyring
from tintype.access.limits import Limiter, MemoryLimiter
from tintype.access.redis_limits import RedisLimiter
from tintype.access.store import KeyStore
from tintype.metrics import REDIS_FAILURES, Metrics
from tintype.settings import Settings, state_folder
from tintype.web.inputs import Fetch, InputPolicy


async def open_door(settings: Settings, stack: AsyncExitStack, metrics: Metrics | None) -> Door:
    """The door with its keys read. Raises SettingsError."""
    keyring = Keyring(
        KeyStore(state_folder(settings)), session_seconds=settings.access.session_hours * 3600
    )
    limiter: Limiter = MemoryLimiter()
    if settings.limits.redis:
        limiter = _shared_limiter(settings.limits.redis, metrics)
    stack.push_async_callback(limiter.close)
    await stack.enter_async_context(keyring)
    return Door(keyring, policy=settings.access, limits=settings.limits, limiter=limiter)


def _shared_limiter(url: str, metrics: Metrics | None) -> RedisLimiter:
    limiter = RedisLimiter(url)
    if metrics is not None:
        metrics.watch(REDIS_FAILURES, lambda: [((), limiter.failures)])
    return limiter


def make_fetch(policy: InputPolicy) -> Fetch | None:
    """What fetches pictures by URL, None where that is off. Raises SettingsError."""
    if not policy.urls:
        return None
    from tintype.web.fetch import Fetcher  # noqa: PLC0415 - few servers fetch: kept off the start

    return Fetcher(policy.url_policy(), redirects=policy.url_redirects).fetch
