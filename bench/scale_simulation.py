"""A simulation of the queues of a server and of many, held against what was measured.

    .venv/bin/python bench/scale_simulation.py [--only small | large] [--write GUIDE]

Needs simpy (group ``test``); ``queueing.py`` says what is simulated. CPU times are those that
``serving/request_cost.py`` measured with eight clients, spread as one client's times were spread;
nothing is fitted to the loads that the simulation is compared with. ``--curve FILE`` writes what
``serving/plots.py`` draws.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from queueing import Service, Shape, closed_load, even, open_load
from scale import ASSUMED, COSTS, TWO_NODES, Assumed, Costs, costs, number, plan, put, table

_CURVE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.2, 1.3)

_HALF: Final = 0.5


def service_of(found: dict[str, Any], cost: Costs) -> Service:
    """The measured stages, and the spread of one client's times around their mean."""
    times = found["alone"]["wall_ms"]
    mean, singly = sum(times) / len(times), singly_ms(found)
    return Service(
        loop=(cost.loop_ms + cost.record_ms) / 1000,
        pictures=cost.pictures_ms / 1000,
        engine=cost.engine_ms / 1000,
        refusal=cost.refusal_ms / 1000,
        singly=max(0.0, singly - cost.cpu_ms) / 1000,
        client=max(0.0, mean - max(singly, cost.cpu_ms)) / 1000,
        spread=tuple(each / mean for each in times),
    )


def singly_ms(found: dict[str, Any]) -> float:
    """CPU milliseconds of a request where they come one by one: at half of the peak."""
    (half,) = (each for each in found["open"] if each["of_peak"] == _HALF)
    return 1000 * float(half["cpu_seconds"]) / int(half["statuses"]["200"])


def small_table(found: dict[str, Any], cost: Costs) -> str:
    """One server on one core: simulated beside measured, four open loads."""
    service, shape = service_of(found, cost), Shape()
    rows = []
    for told in found["open"]:
        late = replace(service, client=service.client + told["late_p50_ms"] / 1000)
        outcome = open_load(
            shape, late, rate=told["offered"], seconds=told["seconds"], arrivals=even
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


def ray_services(
    rows: list[dict[str, Any]], found: dict[str, Any], cost: Costs
) -> dict[int, Service]:
    """One process, and Ray with one or two replicas, each from its own row of one connection.

    What a connection alone takes longer than the measured CPU time is the caller's; what Ray adds
    is spread evenly over its server, the front and the replica's own side.
    """
    alone = {each["replicas"]: each["p50_ms"] / 1000 for each in rows if each["connections"] == 1}
    base = replace(service_of(found, cost), refusal=0.0)
    own = base.loop + base.singly + base.pictures + base.engine
    base = replace(base, client=max(0.0, alone[0] - own))
    services = {}
    for replicas, seconds in alone.items():
        share = (seconds - alone[0]) / 3
        services[replicas] = replace(
            base, loop=base.loop + share, before=(share, share) if replicas else ()
        )
    return services


def nodes_table(two_nodes: dict[str, Any], found: dict[str, Any], cost: Costs) -> str:
    """The two-node Ray cluster: simulated beside measured, closed loads."""
    services = ray_services(two_nodes["rows"], found, cost)
    rows = []
    for told in two_nodes["rows"]:
        replicas = told["replicas"]
        shape = Shape(processes=max(1, replicas), cores=2, max_wait=5.0, callers_beside=True)
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
    return table(head, rows, words=(0, 1))


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


def waits(found: dict[str, Any], cost: Costs) -> dict[str, Any]:
    """Waits of one server on one core against its load: simulated, and where it was measured."""
    peak, service = found["peak"]["rate"], service_of(found, cost)
    late = statistics.median(told["late_p50_ms"] for told in found["open"]) / 1000
    service = replace(service, client=service.client + late)
    simulated = [
        open_load(Shape(), service, rate=share * peak, seconds=8, arrivals=even) for share in _CURVE
    ]
    return {
        "at": _CURVE,
        "p50": [1000 * each.quantile(0.5) for each in simulated],
        "p99": [1000 * each.quantile(0.99) for each in simulated],
        "measured": [
            {"at": each["of_peak"], "p50": each["p50"], "p99": each["p99"]}
            for each in found["open"]
            if each["of_peak"] <= _CURVE[-1]
        ],
    }


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--only", choices=("small", "large"))
    parser.add_argument("--write", type=Path)
    parser.add_argument("--curve", type=Path)
    args = parser.parse_args()
    found, two_nodes = json.loads(args.costs.read_text()), json.loads(TWO_NODES.read_text())
    cost = costs(found, two_nodes)
    if args.curve:
        args.curve.write_text(json.dumps({"waits": waits(found, cost)}, indent=1) + "\n")
        return
    marked = {}
    if args.only != "large":
        marked |= {"small": small_table(found, cost), "nodes": nodes_table(two_nodes, found, cost)}
    if args.only != "small":
        marked["large"] = large_table(found, cost)
    if args.write:
        args.write.write_text(put(args.write.read_text(), marked))
    else:
        print("\n\n".join(marked.values()))


if __name__ == "__main__":
    main()
