"""Servers as queues: machines with cores, processes on them, and loads. Needs simpy.

A *machine* has cores. A *process* on it has an event loop (one thing at a time) and an engine of
streams that take pictures one by one. With a stream for every core a stream's thread also makes the
picture ready; with fewer, other threads do. All of them need a core, the loop before the pictures
and these before the engine, which gives the core back every millisecond, as ``engine.nice`` has it.
Who is let in and which answers are kept for company is decided by the product's own
``tintype.batching.admission`` and ``held``, on simulated time. Imported by
``bench/scale_simulation.py``.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import simpy

from tintype.batching.admission import AdmissionPolicy, Line
from tintype.batching.held import AHEAD, Held

QUANTUM: Final = 0.001
_TURNS: Final = AHEAD + 2
"""Pictures that are at a stream or made ready for it, as in ``tintype.models.host``."""
_LOOP, _PICTURES, _ENGINE = range(3)

Steps = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Service:
    """CPU seconds of one request by stage, and how requests differ from their mean.

    ``singly``: what a request costs more that finds its process idle: its code is in no cache.
    ``client``: seconds that a request takes outside the server, in the caller's process
    and on the way; where callers share the server's cores, they are work on those.
    """

    loop: float
    pictures: float
    engine: float
    refusal: float
    singly: float = 0.0
    client: float = 0.0
    spread: tuple[float, ...] = (1.0,)
    before: tuple[float, ...] = ()
    """Seconds in processes on the way to the server, each one request at a time: Ray's."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Machines, processes on each, cores of a machine, streams of an engine, and admission."""

    machines: int = 1
    processes: int = 1
    cores: int = 1
    streams: int = 1
    max_wait: float = 1.0
    max_in_flight: int = 512
    looks: int = 2
    """Between how many processes, taken by chance, the emptiest is chosen; 1 is blind."""
    quantum: float = QUANTUM
    callers_beside: bool = False
    """Whether the callers, one process, are on the first machine's cores."""


@dataclass
class Outcome:
    """What came of a load. Times in seconds, of answers alone."""

    seconds: float = 0.0
    answered: list[float] = field(default_factory=list)
    refused: int = 0
    in_time: int = 0
    """Answers until the load ended."""

    @property
    def rate(self) -> float:
        """Answers a second while the load lasted."""
        return self.in_time / self.seconds

    @property
    def refused_share(self) -> float:
        """Refused of all."""
        return self.refused / max(1, self.refused + len(self.answered))

    def quantile(self, share: float) -> float:
        """Seconds to an answer; as ``serving/generator.py`` counts."""
        ordered = sorted(self.answered) or [0.0]
        return ordered[int((len(ordered) - 1) * share)]


class Machine:
    """Cores that its processes share."""

    def __init__(self, world: simpy.Environment, cores: int, quantum: float) -> None:
        self.world = world
        self.cores = simpy.PriorityResource(world, cores)
        self.quantum = quantum

    def work(self, seconds: float, priority: int) -> Steps:
        """Have a core for so long, given back after each quantum."""
        while seconds > 0:
            turn = min(seconds, self.quantum)
            with self.cores.request(priority) as core:
                yield core
                yield self.world.timeout(turn)
            seconds -= turn


class Process:
    """One ``tintype serve``."""

    def __init__(
        self, machine: Machine, shape: Shape, service: Service, chance: random.Random
    ) -> None:
        world = machine.world
        self.machine, self.service, self.chance = machine, service, chance
        self.line = Line(
            AdmissionPolicy(max_wait_seconds=shape.max_wait, max_in_flight=shape.max_in_flight)
        )
        self.loop = simpy.Resource(world, 1)
        self.turns = simpy.Resource(world, _TURNS * shape.streams)
        self.in_one_go = shape.streams >= shape.cores
        self.ready: deque[tuple[float, simpy.Event]] = deque()
        self.asleep: list[simpy.Event] = []
        for _ in range(shape.streams):
            world.process(self._engine())

    def request(self) -> Steps:
        """One request; returns whether it was answered."""
        world, service = self.machine.world, self.service
        with self.loop.request() as loop:
            yield loop
            if self.line.is_full(world.now):
                yield from self.machine.work(service.refusal, _LOOP)
                return False
            singly = 0.0 if self.line.in_flight else service.singly
            self.line.enter(world.now, 1)
            yield from self.machine.work(service.loop / 2 + singly, _LOOP)
        size = self.chance.choice(service.spread)
        with self.turns.request() as turn:
            yield turn
            run = service.engine
            if self.in_one_go:
                run += service.pictures
            else:
                yield from self.machine.work(service.pictures * size, _PICTURES)
            done = world.event()
            self.ready.append((run * size, done))
            if self.asleep:
                self.asleep.pop().succeed()
            yield done
        with self.loop.request() as loop:
            yield loop
            yield from self.machine.work(service.loop / 2, _LOOP)
        self.line.answer(world.now)
        return True

    def _engine(self) -> Steps:
        """A stream: one picture after the other; answers leave as the product lets them."""
        world = self.machine.world
        held, kept = Held(), list[simpy.Event]()
        while True:
            while not self.ready:
                waker = world.event()
                self.asleep.append(waker)
                yield waker
            begun = world.now
            seconds, done = self.ready.popleft()
            yield from self.machine.work(seconds, _ENGINE)
            held.add([])
            kept.append(done)
            if not held.waits(begun, world.now, more=len(self.ready)):
                for each in kept:
                    each.succeed()
                held, kept = Held(), []


class Cluster:
    """Processes, what lies before them, and the choice between them."""

    def __init__(self, shape: Shape, service: Service, *, seed: int) -> None:
        self.world = simpy.Environment()
        self.chance = random.Random(seed)  # noqa: S311 - a simulation
        self.machines = [
            Machine(self.world, shape.cores, shape.quantum) for _ in range(shape.machines)
        ]
        self.processes = [
            Process(machine, shape, service, self.chance)
            for machine in self.machines
            for _ in range(shape.processes)
        ]
        self.service = service
        self.looks = shape.looks
        self.caller = simpy.Resource(self.world, 1) if shape.callers_beside else None
        self.before = [(simpy.Resource(self.world, 1), each) for each in service.before]

    def ask(self, outcome: Outcome) -> Steps:
        """One request, counted; returns whether it was answered."""
        begun = self.world.now
        yield from self._outside(self.service.client / 2)
        for place, seconds in self.before:
            with place.request() as turn:
                yield turn
                yield from self.machines[0].work(seconds, _LOOP)
        some = [self.chance.choice(self.processes) for _ in range(self.looks)]
        answered = yield from min(some, key=lambda each: each.line.in_flight).request()
        yield from self._outside(self.service.client / 2)
        if answered:
            outcome.answered.append(self.world.now - begun)
            outcome.in_time += self.world.now <= outcome.seconds
        else:
            outcome.refused += 1
        return answered

    def _outside(self, seconds: float) -> Steps:
        """What callers do: one process on the first machine's cores, or time alone elsewhere."""
        if self.caller is None:
            yield self.world.timeout(seconds)
            return
        with self.caller.request() as turn:
            yield turn
            yield from self.machines[0].work(seconds, _LOOP)


def even(rate: float, _chance: random.Random) -> Iterator[float]:
    """Seconds between requests, as ``serving/generator.py`` sends them."""
    while True:
        yield 1 / rate


def poisson(rate: float, chance: random.Random) -> Iterator[float]:
    """Seconds between requests of many callers who know nothing of each other."""
    while True:
        yield chance.expovariate(rate)


Arrivals = Callable[[float, random.Random], Iterator[float]]


def open_load(  # noqa: PLR0913 - a load is a rate, a time and an order
    shape: Shape,
    service: Service,
    *,
    rate: float,
    seconds: float,
    arrivals: Arrivals = poisson,
    seed: int = 1,
) -> Outcome:
    """Requests that come whatever becomes of those before; the last ones are waited for."""
    cluster = Cluster(shape, service, seed=seed)
    outcome = Outcome(seconds=seconds)

    def source() -> Steps:
        for pause in arrivals(rate, cluster.chance):
            yield cluster.world.timeout(pause)
            if cluster.world.now > seconds:
                return
            cluster.world.process(cluster.ask(outcome))

    cluster.world.process(source())
    cluster.world.run()
    return outcome


def closed_load(
    shape: Shape, service: Service, *, connections: int, seconds: float, seed: int = 1
) -> Outcome:
    """Connections that ask again when they are answered."""
    cluster = Cluster(shape, service, seed=seed)
    outcome = Outcome(seconds=seconds)

    def client() -> Steps:
        while cluster.world.now < seconds:
            yield cluster.world.process(cluster.ask(outcome))

    for _ in range(connections):
        cluster.world.process(client())
    cluster.world.run()
    return outcome
