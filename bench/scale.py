"""What 100, 10,000 and 1,000,000 pictures a second take, out of what one request was measured to.

    .venv/bin/python bench/scale.py [--costs FILE] [--rates 100,10000,1000000] [--write GUIDE]

Prints the tables of docs/guides/scale.md as Markdown; ``--write`` puts them into that page, between
its marks. ``--costs`` takes what ``bench/serving/request_cost.py`` wrote for a model and a picture
of yours. Nothing here measures, and every number that was not measured stands in ``ASSUMED``.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
COSTS: Final = ROOT / "bench/results/request_cost.json"
TWO_NODES: Final = ROOT / "bench/results/two_nodes.json"
RATES: Final = (100, 10_000, 1_000_000)
_DAY: Final = 86_400


@dataclass(frozen=True, kw_only=True)
class Costs:
    """One request, measured. CPU in milliseconds of one core, sizes in bytes."""

    loop_ms: float
    pictures_ms: float
    engine_ms: float
    record_ms: float
    refusal_ms: float
    proxy_ms: float
    redis_ms: float
    database_ms: float
    written_a_second: float
    request_bytes: float
    answer_bytes: float
    stored_bytes: float
    log_bytes: float
    process_mib: float
    ray_ms: float

    @property
    def around_ms(self) -> float:
        """All but the engine."""
        return self.loop_ms + self.pictures_ms + self.record_ms

    @property
    def cpu_ms(self) -> float:
        """All of a process of Tintype."""
        return self.around_ms + self.engine_ms


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """What the costs of one request do not tell. The guide says where each comes from."""

    busy: float = 0.6
    """Share of a resource that is planned for; the simulation shows the waits that it leaves."""
    gpu_rate: float = 2944.0
    """ResNet50 in float32 on an H200, batches of 64: measured, ``results/gpu.json``."""
    pod_cores: int = 4
    network_gbit: float = 10.0
    framing: float = 1.05
    """Bytes on the wire for each byte of HTTP: TCP/IP and Ethernet at 1500 bytes a packet."""
    cell_rate: float = 10_000.0
    """Pictures a second of one cell."""


ASSUMED: Final = Assumed()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What so many pictures a second take."""

    rate: float
    cells: int
    cores: int
    pods: int
    memory_gib: float
    gpus: int
    cores_around_gpus: int
    in_gbit: float
    out_gbit: float
    proxy_cores: float
    redis_cores: float
    database_cores: float
    database_log_mb: float
    database_gb_a_day: float
    kept_tb_a_day: float
    ray_cores: int


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Where one of something ends, in pictures a second at full use, and what moves it."""

    what: str
    rate: float
    knob: str


def costs(found: dict[str, Any], two_nodes: dict[str, Any]) -> Costs:
    """The figures of ``request_cost.py`` and of ``cluster.py``."""
    stages, record = found["peak"]["cpu_ms_by_stage"], found["record_in_pods"]
    return Costs(
        loop_ms=stages["loop"],
        pictures_ms=stages["pictures"],
        engine_ms=stages["engine"],
        record_ms=stages["record and log"],
        refusal_ms=found["refusal"]["cpu_ms"],
        proxy_ms=found["proxy_cpu_ms"],
        redis_ms=found["redis_cpu_ms"],
        database_ms=record["database_cpu_ms"],
        written_a_second=record["predictions_a_second"],
        request_bytes=found["request_bytes"],
        answer_bytes=found["alone"]["answer_bytes"],
        stored_bytes=record["stored_bytes"],
        log_bytes=record["log_bytes"],
        process_mib=found["peak"]["memory_mib"]["8 clients after"],
        ray_ms=ray_ms(two_nodes),
    )


def ray_ms(two_nodes: dict[str, Any], *, cores: int = 2) -> float:
    """CPU that Ray adds to a request: both set-ups kept all cores busy, clients included."""
    rates = {
        each["replicas"]: each["rate"] for each in two_nodes["rows"] if each["connections"] == 32
    }
    return 1000 * cores * (1 / rates[2] - 1 / rates[0])


def plan(rate: float, cost: Costs, assumed: Assumed = ASSUMED) -> Plan:
    """What ``rate`` pictures a second take, at the share of use that is planned for."""
    planned = rate / assumed.busy
    cores = math.ceil(planned * cost.cpu_ms / 1000)
    pods = max(2, math.ceil(cores / assumed.pod_cores))
    wire = assumed.framing * 8 / 1e9
    return Plan(
        rate=rate,
        cells=math.ceil(rate / assumed.cell_rate),
        cores=cores,
        pods=pods,
        memory_gib=pods * cost.process_mib / 1024,
        gpus=math.ceil(planned / assumed.gpu_rate),
        cores_around_gpus=math.ceil(planned * cost.around_ms / 1000),
        in_gbit=rate * cost.request_bytes * wire,
        out_gbit=rate * cost.answer_bytes * wire,
        proxy_cores=planned * cost.proxy_ms / 1000,
        redis_cores=planned * cost.redis_ms / 1000,
        database_cores=planned * cost.database_ms / 1000,
        database_log_mb=rate * cost.log_bytes / 1e6,
        database_gb_a_day=rate * cost.stored_bytes * _DAY / 1e9,
        kept_tb_a_day=rate * cost.request_bytes * _DAY / 1e12,
        ray_cores=math.ceil(planned * cost.ray_ms / 1000),
    )


def limits(cost: Costs, assumed: Assumed = ASSUMED) -> list[Limit]:
    """Where one of each ends, the smallest first."""
    bits = cost.request_bytes * 8 * assumed.framing
    found = (
        Limit(
            what="one core, engine included",
            rate=1000 / cost.cpu_ms,
            knob="more cores: `engine.streams`, `engine.threads`; a smaller model",
        ),
        Limit(
            what="one core that decodes and prepares",
            rate=1000 / cost.pictures_ms,
            knob="smaller pictures from the client; `images.max_pixels` bounds the worst",
        ),
        Limit(
            what="one event loop, so one process",
            rate=1000 / cost.loop_ms,
            knob="`server.processes`, pods, `cluster.replicas_max`, `cluster.fronts_max`",
        ),
        Limit(
            what="one GPU (an H200, ResNet50)",
            rate=assumed.gpu_rate,
            knob="`batching.max_batch`, `engine.precision`; `gpus` in a card",
        ),
        Limit(
            what="one core of the proxy, without TLS",
            rate=1000 / cost.proxy_ms,
            knob="the proxy's workers; a balancer that passes TCP on",
        ),
        Limit(
            what="one connection that writes the record",
            rate=cost.written_a_second,
            knob="each process has its own; `record.queue` bridges pauses",
        ),
        Limit(
            what="one core of PostgreSQL",
            rate=1000 / cost.database_ms,
            knob="`record.database` a cell; `record.enabled` off in most",
        ),
        Limit(
            what=f"a network card of {assumed.network_gbit:g} Gbit/s",
            rate=assumed.network_gbit * 1e9 / bits,
            knob="smaller pictures from the client; `uploads.max_body_bytes`",
        ),
        Limit(
            what="one Redis (it has one thread)",
            rate=1000 / cost.redis_ms,
            knob="`limits.redis` a cell; limits at the proxy",
        ),
    )
    return sorted(found, key=lambda limit: limit.rate)


def table(
    head: Iterable[str], rows: Iterable[Iterable[str]], *, words: tuple[int, ...] = (0,)
) -> str:
    """Markdown; the columns ``words`` are words, the others numbers."""
    names = [*head]
    lines = [names, ["---" if at in words else "---:" for at in range(len(names))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Two digits that count below ten, three above; thousands apart."""
    if value == 0:
        return "0"
    digits = (2 if abs(value) < 10 else 3) - 1 - math.floor(math.log10(abs(value)))
    told = round(value, digits)
    return f"{told:,.{max(0, digits)}f}" if digits > 0 else f"{told:,.0f}"


def stages_table(found: dict[str, Any], cost: Costs) -> str:
    """One request by stage."""
    alone, all_ms = found["alone"]["stage_ms"], cost.cpu_ms
    told = {
        "event loop: connection, routes, use case, JSON": ("", cost.loop_ms),
        "pictures' threads: header, decode, prepare": (
            f"decode {alone['decode']:.2f}, prepare {alone['prepare']:.2f}",
            cost.pictures_ms,
        ),
        "engine's thread: the batcher and OpenVINO": (f"run {alone['run']:.2f}", cost.engine_ms),
        "record and log, in threads of their own": ("", cost.record_ms),
        "**all**": (f"total {alone['total']:.2f}", all_ms),
    }
    rows = ([name, f"{ms:.2f}", f"{ms / all_ms:.0%}", clock] for name, (clock, ms) in told.items())
    return table(
        ("stage", "CPU ms, 8 clients", "share", "one client alone, ms on the clock (median)"),
        rows,
        words=(0, 3),
    )


def neighbours_table(cost: Costs) -> str:
    """What the neighbours take for it."""
    rows = (
        ["a refusal (503), unread", f"{cost.refusal_ms:.2f}"],
        ["nginx before it, without TLS, the whole body buffered", f"{cost.proxy_ms:.3f}"],
        ["Redis, two limits taken in one script", f"{cost.redis_ms:.3f}"],
        [
            "PostgreSQL, two rows, in transactions of 200 predictions",
            f"{cost.database_ms:.3f}",
        ],
        ["Ray: its HTTP server, the front, and the way (2 replicas)", f"{cost.ray_ms:.1f}"],
    )
    return table(("what", "CPU ms a request"), rows)


def bytes_table(cost: Costs) -> str:
    """Bytes moved."""
    decoded = 640 * 480 * 3
    rows = (
        ["request: the JPEG and its head", f"{cost.request_bytes:,.0f}"],
        ["answer: JSON and its head", f"{cost.answer_bytes:,.0f}"],
        ["the same picture decoded (640 x 480), which no network sees", f"{decoded:,}"],
        ["in the record: rows and indexes of one prediction", f"{cost.stored_bytes:,.0f}"],
        ["PostgreSQL's log (WAL) for it", f"{cost.log_bytes:,.0f}"],
        ["resident memory of a process, model loaded", f"{cost.process_mib:,.0f} MiB"],
    )
    return table(("what", "bytes"), rows)


def limits_table(cost: Costs, assumed: Assumed = ASSUMED) -> str:
    """Where one of each ends."""
    rows = (
        [each.what, number(each.rate), number(each.rate * assumed.busy), each.knob]
        for each in limits(cost, assumed)
    )
    return table(
        ("one of", "pictures/s, full", f"planned ({assumed.busy:.0%})", "what moves it"),
        rows,
        words=(0, 3),
    )


def plans_table(cost: Costs, rates: Iterable[float] = RATES, assumed: Assumed = ASSUMED) -> str:
    """What each rate takes."""
    plans = [plan(rate, cost, assumed) for rate in rates]
    gpu = "or GPUs of that kind + cores around them"
    rows = (
        ["cells", *(f"{each.cells:,}" for each in plans)],
        ["cores, all on CPUs", *(f"{each.cores:,}" for each in plans)],
        [f"pods of {assumed.pod_cores} cores", *(f"{each.pods:,}" for each in plans)],
        ["their memory, GiB", *(number(each.memory_gib) for each in plans)],
        [gpu, *(f"{each.gpus:,} + {each.cores_around_gpus:,}" for each in plans)],
        ["network in, Gbit/s", *(number(each.in_gbit) for each in plans)],
        ["network out, Gbit/s", *(number(each.out_gbit) for each in plans)],
        ["cores of proxies, without TLS", *(number(each.proxy_cores) for each in plans)],
        ["cores of Redis", *(number(each.redis_cores) for each in plans)],
        ["cores of PostgreSQL", *(number(each.database_cores) for each in plans)],
        ["its log, MB/s", *(number(each.database_log_mb) for each in plans)],
        ["its growth, GB a day", *(number(each.database_gb_a_day) for each in plans)],
        ["all pictures kept, TB a day", *(number(each.kept_tb_a_day) for each in plans)],
        ["cores more if all goes through Ray", *(f"{each.ray_cores:,}" for each in plans)],
    )
    return table(("pictures a second", *(f"{each.rate:,.0f}" for each in plans)), rows)


def tables(found: dict[str, Any], two_nodes: dict[str, Any]) -> dict[str, str]:
    """Every table of the guide, by its mark."""
    cost = costs(found, two_nodes)
    return {
        "stages": stages_table(found, cost),
        "neighbours": neighbours_table(cost),
        "bytes": bytes_table(cost),
        "limits": limits_table(cost),
        "plans": plans_table(cost),
    }


def put(page: str, marked: dict[str, str]) -> str:
    """The page with each table between its marks, ``<!-- scale: NAME -->`` and ``<!-- end -->``."""
    for name, text in marked.items():
        pattern = rf"(<!-- scale: {name} -->\n).*?(<!-- end -->)"
        page, times = re.subn(
            pattern, lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL
        )
        if times != 1:
            raise SystemExit(f"the page has {times} places marked {name}, expected 1")
    return page


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--rates", default=",".join(map(str, RATES)))
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    found, two_nodes = json.loads(args.costs.read_text()), json.loads(TWO_NODES.read_text())
    marked = tables(found, two_nodes)
    if args.write:
        args.write.write_text(put(args.write.read_text(), marked))
        return
    rates = [float(each) for each in args.rates.split(",")]
    marked["plans"] = plans_table(costs(found, two_nodes), rates)
    print("\n\n".join(marked.values()))


if __name__ == "__main__":
    main()
