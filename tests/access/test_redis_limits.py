"""Limits shared in a real Redis, started here on a socket of its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tintype.access.limits import MemoryLimiter, Rule
from tintype.access.redis_limits import RedisLimiter
from tintype.errors import SettingsError

RATE = Rule(name="minute", bucket="key:a", most=6, seconds=60)


class Redis:
    """A server that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self.url = f"unix://{folder}/redis.sock"

    def start(self) -> None:
        """Start it; return once it answers."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("no redis-server is installed")
        self._process = subprocess.Popen(
            [
                program,
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
            ],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert any("accept connections at" in line for line in self._process.stdout)

    def stop(self) -> None:
        """Kill it, as a machine that fails would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Redis(tmp_path_factory.mktemp("r"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def limiter(redis):
    made = RedisLimiter(redis.url)
    yield made
    await made.close()


def day(*, used: int = 0, most: int = 10) -> Rule:
    return Rule(name="day", bucket="day:a:1", most=most, seconds=86400, left=500.0, used=used)


async def test_two_processes_share_a_limit(redis, limiter):
    """What one takes is gone for the other."""
    other = RedisLimiter(redis.url)
    told = [await each.take((RATE,)) for each in (limiter, other) * 4]
    await other.close()
    assert [5, 4, 3, 2, 1, 0] == [verdict.standings[0].remaining for verdict in told[:6]]
    assert [RATE, RATE] == [verdict.broken for verdict in told[6:]]
    assert 9 < told[6].retry_after <= 10


async def test_at_once_no_more_than_allowed(limiter):
    """The script is one step: a crowd that comes together gets what one by one would."""
    told = await asyncio.gather(*(limiter.take((RATE,)) for _ in range(50)))
    assert 6 == sum(verdict.broken is None for verdict in told)


async def test_it_says_what_memory_says(limiter):
    """The same requests, the same answers: rates, counts, batches, refusals."""
    memory = MemoryLimiter()
    steps = [((RATE,), 1), ((RATE,), 3), ((RATE,), 5), ((RATE, day(used=10)), 1), ((RATE,), 0)]
    for rules, cost in steps:
        here, there = memory.take_now(rules, cost=cost), await limiter.take(rules, cost=cost)
        assert here.broken == there.broken
        assert abs(here.retry_after - there.retry_after) < 1
        assert [s.remaining for s in here.standings] == [s.remaining for s in there.standings]


async def test_a_count_is_shared_and_knows_what_is_known_elsewhere(redis, limiter):
    """A Redis that lost its memory does not give the day anew."""
    other = RedisLimiter(redis.url)
    assert 9 == (await limiter.take((day(),))).standings[0].remaining
    assert 8 == (await other.take((day(),))).standings[0].remaining
    assert 3 == (await limiter.take((day(used=6),))).standings[0].remaining
    assert "day" == (await limiter.take((day(used=10),))).broken.name
    await other.close()


async def test_all_rules_or_none(limiter):
    """A request that the day refuses takes nothing from the minute."""
    await limiter.take((RATE, day(used=10)))
    assert 5 == (await limiter.take((RATE,))).standings[0].remaining


async def test_every_bucket_ends_by_itself(redis, limiter):
    """Redis' memory is bounded by the callers of a minute and a day."""
    from redis.asyncio import Redis as Client

    await limiter.take((RATE, day()))
    client = Client.from_url(redis.url)
    lives = {name: await client.ttl(name) for name in await client.keys()}
    await client.aclose()
    assert 10 == lives[b"{tintype}:key:a"]
    assert 559 <= lives[b"{tintype}:day:a:1"] <= 560


async def test_without_redis_each_limits_by_itself(redis, clock, logs):
    """Nobody waits for it, the limits hold, the log says so once; then it is back."""
    limits = RedisLimiter(redis.url, clock=clock)
    await limits.take((RATE,))
    redis.stop()
    told = [await limits.take((RATE,)) for _ in range(8)]
    assert 6 == sum(verdict.broken is None for verdict in told)
    assert 1 == limits.failures
    clock.now += 1
    await limits.take((RATE,))
    assert 2 == limits.failures
    assert ["redis does not answer: each process keeps the limits by itself"] == [
        line["event"] for line in logs
    ]
    redis.start()
    clock.now += 1
    assert 5 == (await limits.take((RATE,))).standings[0].remaining
    assert "redis is back: limits are shared again" == logs[-1]["event"]
    await limits.close()


async def test_a_redis_that_hangs_holds_nobody(tmp_path_factory, clock):
    """It accepts and never answers: after its time each limits by itself, at once from then on."""
    path = tmp_path_factory.mktemp("r") / "hangs.sock"
    hung = asyncio.Event()

    async def hang(_reader, writer) -> None:
        await hung.wait()
        writer.close()

    server = await asyncio.start_unix_server(hang, path)
    limits = RedisLimiter(f"unix://{path}", clock=clock, timeout=0.05)
    assert 5 == (await limits.take((RATE,))).standings[0].remaining
    before = time.perf_counter()
    for _ in range(100):
        await limits.take((RATE,))
    assert time.perf_counter() - before < 0.05
    assert 1 == limits.failures
    await limits.close()
    hung.set()
    server.close()


@pytest.mark.parametrize("url", ["nonsense", "http://h", "redis://h:port/0"])
def test_an_address_that_is_none_is_told_without_repeating_it(url):
    """It may hold a password."""
    with pytest.raises(SettingsError, match=r"limits\.redis is no address of a Redis") as caught:
        RedisLimiter(url)
    assert url not in caught.value.message
