"""Limits that several processes or machines share, in Redis.

One script takes from all buckets or from none, by Redis' own clock. While Redis cannot be reached
the process keeps the limits by itself: nobody is refused because a helper is down, and nobody is
let in without limits either.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast

import structlog

from tintype.access.limits import MemoryLimiter, Rule, Verdict, verdict_of
from tintype.errors import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX: Final = "{tintype}:"
"""In braces, so that a Redis cluster keeps all buckets of a request in one place."""
_TIMEOUT_SECONDS: Final = 0.25
_REST_SECONDS: Final = 1.0
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local cost = tonumber(ARGV[1])
local levels, after, lives = {}, {}, {}
local fits = 1
for i = 1, #KEYS do
  local most, seconds = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local left, used = tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  local held = tonumber(redis.call('GET', KEYS[i]) or '0')
  local level, step, top
  if left >= 0 then
    level, step, top = math.max(held, used), cost, most
    after[i], lives[i] = level + step, math.ceil(left) + 60
  else
    level, step, top = math.max(0, held - now), cost * seconds / most, seconds + 0.000001
    after[i], lives[i] = now + level + step, math.ceil(level + step)
  end
  levels[i] = string.format('%.6f', level)
  if level + step > top then fits = 0 end
end
if fits == 1 then
  for i = 1, #KEYS do
    redis.call('SET', KEYS[i], string.format('%.6f', after[i]), 'EX', math.max(1, lives[i]))
  end
end
return levels
"""

log = structlog.get_logger(__name__)


class _Script(Protocol):
    def __call__(
        self, keys: Sequence[str], args: Sequence[float]
    ) -> Awaitable[Sequence[bytes]]: ...


class RedisLimiter:
    """Keeps levels in Redis. ``failures`` counts how often Redis did not answer.

    Constructing does no IO. Raises SettingsError when the address is no Redis address, or the
    client is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._redis = _client(url, timeout=timeout)
        self._script = cast("_Script", self._redis.register_script(_SCRIPT))
        self._alone = MemoryLimiter(clock=clock)
        self._clock = clock
        self._silent_until: float | None = None
        self.failures = 0

    async def take(self, rules: tuple[Rule, ...], *, cost: int = 1) -> Verdict:
        """Take from all buckets, or from none."""
        if self._silent_until is not None and self._clock() < self._silent_until:
            return self._alone.take_now(rules, cost=cost)
        try:
            levels = await self._levels(rules, cost)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there, requests go on here
            self._fell_silent(error)
            return self._alone.take_now(rules, cost=cost)
        if self._silent_until is not None:
            self._silent_until = None
            log.warning("redis is back: limits are shared again")
        return verdict_of(rules, levels, cost=cost)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _levels(self, rules: tuple[Rule, ...], cost: int) -> tuple[float, ...]:
        numbers: list[float] = [cost]
        for rule in rules:
            left = -1.0 if rule.left is None else rule.left
            numbers += [rule.most, rule.seconds, left, rule.used]
        names = [_PREFIX + rule.bucket for rule in rules]
        return tuple(float(level) for level in await self._script(keys=names, args=numbers))

    def _fell_silent(self, error: Exception) -> None:
        self.failures += 1
        if self._silent_until is None:
            log.warning(
                "redis does not answer: each process keeps the limits by itself",
                error=type(error).__name__,  # its words may hold the address, and that a password
            )
        self._silent_until = self._clock() + _REST_SECONDS


def _client(url: str, *, timeout: float) -> Redis:
    try:
        # only set-ups that share their limits need it
        from redis.asyncio import Redis  # noqa: PLC0415 - see above
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "limits.redis is set, and the Redis client is not installed",
            hint="pip install 'tintype[redis]'",
        ) from None
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # a connection that went stale is worth one more try
        )
    except ValueError as error:
        raise SettingsError(
            "limits.redis is no address of a Redis",
            hint="redis://host:6379/0, rediss://... with TLS, unix:///path/to/redis.sock",
        ) from error
