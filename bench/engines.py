"""Engines and batching on this machine: time a picture, as ratios.

python bench/engines.py MODEL.tflite|MODEL.onnx|MODEL.xml [--seconds 1] [--rounds 5]

Every way is tried in turn, several rounds, and the best round of each counts, so that other work
on the machine disturbs all alike. CPU time is that of the whole process.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.catalog import load
from tintype.engines.engine import Engine, EngineOptions
from tintype.engines.tensors import sample_rows
from tintype.modelfiles.open import describe
from tintype.types import Graph

Way = Callable[[float], int]
"""Runs for so many seconds and returns how many pictures it answered."""


def loop(engine: Engine, *, batch: int = 1) -> Way:
    """The engine called in a bare loop."""
    rows = sample_rows(engine.input, rows=batch)

    def run(seconds: float) -> int:
        end, done = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            engine.run(rows)
            done += batch
        return done

    return run


def submitted(engine: Engine, *, clients: int) -> Way:
    """Clients that submit one picture after another."""
    rows = sample_rows(engine.input, rows=clients)

    async def serve(seconds: float) -> int:
        async with Batcher(engine, policy=BatchPolicy()) as batcher:
            end = time.perf_counter() + seconds

            async def client(row: int) -> int:
                done = 0
                while time.perf_counter() < end:
                    await batcher.submit(rows[row], deadline=time.monotonic() + 60)
                    done += 1
                return done

            return sum(await asyncio.gather(*(client(row) for row in range(clients))))

    return lambda seconds: asyncio.run(serve(seconds))


def ways(graph: Graph) -> dict[str, Way]:
    """Everything that can run the graph."""
    found: dict[str, Way] = {}
    for name in ("openvino", "litert", "onnxruntime"):
        for streams in (1, 2):
            try:
                engine = load(graph, engine=name, options=EngineOptions(streams=streams))
            except Exception as error:  # noqa: BLE001 - another engine may do
                print(f"{name}: {error}")
                break
            title = f"{name}, {streams} streams"
            if streams == 1:
                found[f"{title}, loop"] = loop(engine)
            found[f"{title}, 1 client"] = submitted(engine, clients=1)
            found[f"{title}, 8 clients"] = submitted(engine, clients=8)
    return found


def main() -> None:
    """Print a line a way: pictures a second, CPU milliseconds a picture, ratio to the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tried = ways(describe(options.model).graph)
    speeds: dict[str, list[float]] = {name: [] for name in tried}
    costs: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(options.rounds):
        for name, run in tried.items():
            begun, used = time.perf_counter(), time.process_time()
            done = run(options.seconds)
            speeds[name].append(done / (time.perf_counter() - begun))
            costs[name].append(1000 * (time.process_time() - used) / done)
    first = max(next(iter(speeds.values())))
    print(f"{'way':38} {'best/s':>8} {'ratio':>6} {'median/s':>9} {'CPU ms':>7}")
    for name in tried:
        best, middle = max(speeds[name]), float(np.median(speeds[name]))
        print(f"{name:38} {best:8.0f} {best / first:6.2f} {middle:9.0f} {min(costs[name]):7.3f}")


if __name__ == "__main__":
    main()
