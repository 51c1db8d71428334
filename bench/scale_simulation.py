"""A simulation of the queues of a server and of many, held against what was measured.

    .venv/bin/python bench/scale_simulation.py [--only small | large] [--write GUIDE]

Needs simpy (group ``test``). A *machine* has cores. A *process* on it has an event loop (one thing
at a time), threads that make pictures ready, and an engine of streams that take batches by arrival;
all of them need a core, the loop before the pictures and these before the engine, which gives the
core back every millisecond, as ``engine.nice`` has it. Who is let in is decided by the product's
own ``tintype.batching.admission``, on simulated time. CPU times are those that
``serving/request_cost.py`` measured with eight clients, spread as one client's times were spread;
nothing is fitted to the loads that the simulation is compared with.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import simpy

from scale import ASSUMED, COSTS, TWO_NODES, Assumed, Costs, costs, number, plan, put, table
from tintype.batching.admission import AdmissionPolicy, Line

QUANTUM: Final = 0.001
_MAX_BATCH: Final = 8
_AHEAD: Final = 16
"""Pictures made ready ahead of an engine, as in ``tintype.models.host``."""
_LOOP, _PICTURES, _ENGINE = range(3)

Steps = Generator[simpy.Event, Any, Any]


@dataclass(frozen=True, kw_only=True)
class Service:
    """CPU seconds of one request by stage, and how requests differ from their mean."""

    loop: float
    pictures: float
    engine: float
    refusal: float
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
        self.turns = simpy.Resource(world, max(_AHEAD, 2 * _MAX_BATCH * shape.streams))
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
            self.line.enter(world.now, 1)
            yield from self.machine.work(service.loop / 2, _LOOP)
        size = self.chance.choice(service.spread)
        with self.turns.request() as turn:
            yield turn
            yield from self.machine.work(service.pictures * size, _PICTURES)
            done = world.event()
            self.ready.append((service.engine * size, done))
            if self.asleep:
                self.asleep.pop().succeed()
            yield done
        with self.loop.request() as loop:
            yield loop
            yield from self.machine.work(service.loop / 2, _LOOP)
        self.line.answer(world.now)
        return True

    def _engine(self) -> Steps:
        """A stream: takes what waits, at most a batch, its share where others are idle too."""
        world = self.machine.world
        while True:
            while not self.ready:
                waker = world.event()
                self.asleep.append(waker)
                yield waker
            idle = 1 + len(self.asleep)
            count = min(_MAX_BATCH, math.ceil(len(self.ready) / idle))
            batch = [self.ready.popleft() for _ in range(count)]
            yield from self.machine.work(sum(seconds for seconds, _ in batch), _ENGINE)
            for _, done in batch:
                done.succeed()


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
        self.looks = shape.looks
        self.before = [(simpy.Resource(self.world, 1), each) for each in service.before]

    def ask(self, outcome: Outcome) -> Steps:
        """One request, counted; returns whether it was answered."""
        begun = self.world.now
        for place, seconds in self.before:
            with place.request() as turn:
                yield turn
                yield from self.machines[0].work(seconds, _LOOP)
        some = [self.chance.choice(self.processes) for _ in range(self.looks)]
        answered = yield from min(some, key=lambda each: each.line.in_flight).request()
        if answered:
            outcome.answered.append(self.world.now - begun)
            outcome.in_time += self.world.now <= outcome.seconds
        else:
            outcome.refused += 1
        return answered


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


def service_of(found: dict[str, Any], cost: Costs) -> Service:
    """The measured stages, and the spread of one client's times around their mean."""
    times = found["alone"]["wall_ms"]
    mean = sum(times) / len(times)
    return Service(
        loop=(cost.loop_ms + cost.record_ms) / 1000,
        pictures=cost.pictures_ms / 1000,
        engine=cost.engine_ms / 1000,
        refusal=cost.refusal_ms / 1000,
        spread=tuple(each / mean for each in times),
    )


def small_table(found: dict[str, Any], cost: Costs) -> str:
    """One server on one core: simulated beside measured, four open loads."""
    service, shape = service_of(found, cost), Shape()
    rows = []
    for told in found["open"]:
        outcome = open_load(
            shape, service, rate=told["offered"], seconds=told["seconds"], arrivals=even
        )
        both = (
            (outcome.rate, told["rate"]),
            (1000 * outcome.quantile(0.5), told["p50"]),
            (1000 * outcome.quantile(0.99), told["p99"]),
        )
        rows.append(
            [
                f"{told['of_peak']:.0%}",
                *(beside(simulated, measured) for simulated, measured in both),
                f"{outcome.refused_share:.1%} / {told['refused']:.1%}",
            ]
        )
    head = ("offered, of the peak", "answers/s", "p50 ms", "p99 ms", "refused")
    return table(head, rows)


def beside(simulated: float, measured: float) -> str:
    """Both numbers and the error of the simulated one."""
    return f"{number(simulated)} / {number(measured)} ({simulated / measured - 1:+.0%})"


def ray_services(rows: list[dict[str, Any]], cost: Costs) -> dict[int, Service]:
    """One process, and Ray with one or two replicas, each from its own row of one connection.

    What a connection alone takes longer than the measured CPU time is spread over the stages; what
    Ray adds is spread evenly over its server, the front and the replica's own side.
    """
    alone = {each["replicas"]: each["p50_ms"] for each in rows if each["connections"] == 1}
    scale = alone[0] / cost.cpu_ms / 1000
    found = {}
    for replicas, milliseconds in alone.items():
        share = (milliseconds - alone[0]) / 3000
        found[replicas] = Service(
            loop=(cost.loop_ms + cost.record_ms) * scale + share,
            pictures=cost.pictures_ms * scale,
            engine=cost.engine_ms * scale,
            refusal=0.0,
            before=(share, share) if replicas else (),
        )
    return found


def nodes_table(two_nodes: dict[str, Any], cost: Costs) -> str:
    """The two-node Ray cluster: simulated beside measured, closed loads."""
    services = ray_services(two_nodes["rows"], cost)
    rows = []
    for told in two_nodes["rows"]:
        replicas = told["replicas"]
        shape = Shape(processes=max(1, replicas), cores=2, max_wait=5.0)
        outcome = closed_load(
            shape, services[replicas], connections=told["connections"], seconds=10
        )
        known = " (given)" if told["connections"] == 1 else ""
        rows.append(
            [
                f"{told['connections']}{known}",
                f"Ray, {replicas}" if replicas else "one process",
                beside(outcome.rate, told["rate"]),
                beside(1000 * outcome.quantile(0.5), told["p50_ms"]),
                beside(1000 * outcome.quantile(0.99), told["p99_ms"]),
            ]
        )
    head = ("connections", "replicas", "answers/s", "p50 ms", "p99 ms")
    return table(head, rows, words=2)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A load on many machines, one process on each, a stream of the engine a core."""

    words: str
    rate: float
    seconds: float
    machines: int
    cores: int = 4
    looks: int = 2


def cases(cost: Costs, assumed: Assumed = ASSUMED) -> list[Case]:
    """A hundred a second, a cell, what goes wrong in it, and two ways to lay it out wrongly."""
    cell, own = assumed.cell_rate, assumed.pod_cores
    pods = plan(cell, cost).pods
    full = pods * own * 1000 / cost.cpu_ms
    wide = math.ceil(pods * own / 32)
    return [
        Case(words="100/s, two pods", machines=2, rate=100, seconds=30),
        Case(words="the same, one of them lost", machines=1, rate=100, seconds=30),
        Case(words=f"a cell: 10,000/s, {pods} pods", machines=pods, rate=cell, seconds=2),
        Case(
            words="one of 100 cells lost, the others take its load",
            machines=pods,
            rate=cell * 100 / 99,
            seconds=2,
        ),
        Case(words="a cell with 1.3 of its share", machines=pods, rate=1.3 * cell, seconds=2),
        Case(
            words="a cell that has lost a quarter of its pods",
            machines=pods - pods // 4,
            rate=cell,
            seconds=2,
        ),
        Case(
            words="the same, pods chosen blindly",
            machines=pods - pods // 4,
            rate=cell,
            seconds=2,
            looks=1,
        ),
        Case(words="a cell at 1.2 of its cores", machines=pods, rate=1.2 * full, seconds=3),
        Case(
            words=f"10,000/s, {wide} processes of 32 cores",
            machines=wide,
            cores=32,
            rate=cell,
            seconds=2,
        ),
    ]


def large_table(found: dict[str, Any], cost: Costs) -> str:
    """Many processes, requests of many callers (Poisson)."""
    service = service_of(found, cost)
    rows = []
    for case in cases(cost):
        shape = Shape(
            machines=case.machines,
            cores=case.cores,
            streams=case.cores,
            looks=case.looks,
            quantum=math.inf,
        )
        outcome = open_load(shape, service, rate=case.rate, seconds=case.seconds)
        busy = case.rate * cost.cpu_ms / 1000 / (case.cores * case.machines)
        rows.append(
            [
                case.words,
                f"{busy:.0%}",
                number(outcome.rate),
                f"{1000 * outcome.quantile(0.5):.1f}",
                f"{1000 * outcome.quantile(0.99):.1f}",
                f"{outcome.refused_share:.1%}",
            ]
        )
    head = ("load", "wanted of its cores", "answers/s", "p50 ms", "p99 ms", "refused")
    return table(head, rows)


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--only", choices=("small", "large"))
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    found, two_nodes = json.loads(args.costs.read_text()), json.loads(TWO_NODES.read_text())
    cost = costs(found, two_nodes)
    marked = {}
    if args.only != "large":
        marked |= {"small": small_table(found, cost), "nodes": nodes_table(two_nodes, cost)}
    if args.only != "small":
        marked["large"] = large_table(found, cost)
    if args.write:
        args.write.write_text(put(args.write.read_text(), marked))
    else:
        print("\n\n".join(marked.values()))


if __name__ == "__main__":
    main()
