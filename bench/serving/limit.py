"""The limit: the same engine and decoder in a bare loop in one process, no HTTP.

python bench/serving/limit.py MODEL PICTURE [--seconds 3] [--layouts 1x2x1,2x2x2] [--decode]

A layout is loops x engine threads x engine streams: so many threads, each of which reads the
header, decodes, prepares and runs one picture after another, on an engine compiled for so many
threads and streams. It takes the cores that it is allowed (``taskset``). Prints one JSON object:
pictures a second and CPU milliseconds a picture of every layout. ``--decode`` reads the header and
decodes, nothing more, in one thread: the layout ``decode``.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tintype.engines.catalog import load
from tintype.engines.engine import Engine, EngineOptions
from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.prepare import prepare
from tintype.models.library import find_cards
from tintype.models.plan import ModelPlan, plan_model
from tintype.types import Tensor

_CORES = len(os.sched_getaffinity(0))
LAYOUTS = tuple(
    dict.fromkeys(((1, _CORES, 1), (_CORES, _CORES, _CORES), (_CORES + 1, _CORES, _CORES)))
)


def decoded(plan: ModelPlan, picture: bytes) -> Tensor:
    """The pixels of one picture."""
    header = read_header(picture, limits=DecodeLimits())
    return decode(picture, header=header, how=plan.recipe.decode).array


def answer(plan: ModelPlan, engine: Engine, picture: bytes) -> None:
    """One picture from its bytes to the raw outputs."""
    pixels = decoded(plan, picture)
    row = prepare(pixels, recipe=plan.recipe, target=plan.target, point=None)
    engine.run(row[np.newaxis])


def speed(
    plan: ModelPlan, picture: bytes, *, layout: tuple[int, int, int], seconds: float
) -> dict[str, float]:
    """Pictures a second and CPU milliseconds a picture of one layout."""
    loops, threads, streams = layout
    options = EngineOptions(threads=threads, streams=streams)
    engine = load(plan.description.graph, engine=plan.engine, options=options)
    try:
        return timed(lambda: answer(plan, engine, picture), loops=loops, seconds=seconds)
    finally:
        engine.close()


def timed(once: Callable[[], object], *, loops: int, seconds: float) -> dict[str, float]:
    """How often a second and at what CPU time so many threads do ``once``, over and over."""
    done, took, cpu = threads_at(once, loops=loops, seconds=seconds)
    return {"rate": done / took, "cpu_ms": 1000 * cpu / done}


def threads_at(
    once: Callable[[], object], *, loops: int, seconds: float
) -> tuple[int, float, float]:
    """How often so many warm threads do ``once``, the seconds that took, and the CPU's."""
    for _ in range(3):
        once()
    done = [0] * loops
    begun, used = time.perf_counter(), time.process_time()

    def loop(number: int) -> None:
        while time.perf_counter() < begun + seconds:
            once()
            done[number] += 1

    workers = [threading.Thread(target=loop, args=(number,)) for number in range(loops)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done), time.perf_counter() - begun, time.process_time() - used


def main() -> None:
    """Print the speeds of all layouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--layouts", default=",".join("x".join(map(str, each)) for each in LAYOUTS))
    parser.add_argument("--decode", action="store_true", help="decode and do nothing more")
    options = parser.parse_args()
    plan, picture = plan_model(find_cards((options.model,))[0]), options.picture.read_bytes()
    if options.decode:
        once = timed(lambda: decoded(plan, picture), loops=1, seconds=options.seconds)
        print(json.dumps({"decode": once}))
        return
    found = {}
    for words in options.layouts.split(","):
        loops, threads, streams = map(int, words.split("x"))
        layout = (loops, threads, streams)
        found[words] = speed(plan, picture, layout=layout, seconds=options.seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
