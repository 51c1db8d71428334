"""The limit: the same engine and decoder in a bare loop in one process, no HTTP.

python bench/serving/limit.py MODEL PICTURE [--seconds 3] [--layouts 1x2x1,2x2x2]

A layout is loops x engine threads x engine streams: so many threads, each of which reads the
header, decodes, prepares and runs one picture after another, on an engine compiled for so many
threads and streams. Prints one JSON object: pictures a second and CPU milliseconds a picture of
every layout.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
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

_CORES = os.cpu_count() or 1
LAYOUTS = ((1, _CORES, 1), (_CORES, _CORES, _CORES), (_CORES + 1, _CORES, _CORES))


def answer(plan: ModelPlan, engine: Engine, picture: bytes) -> None:
    """One picture from its bytes to the raw outputs."""
    header = read_header(picture, limits=DecodeLimits())
    pixels = decode(picture, header=header, how=plan.recipe.decode).array
    row = prepare(pixels, recipe=plan.recipe, target=plan.target, point=None)
    engine.run(row[np.newaxis])


def speed(
    plan: ModelPlan, picture: bytes, *, layout: tuple[int, int, int], seconds: float
) -> dict[str, float]:
    """Pictures a second and CPU milliseconds a picture of one layout."""
    loops, threads, streams = layout
    options = EngineOptions(threads=threads, streams=streams)
    engine = load(plan.description.graph, engine=plan.engine, options=options)
    answer(plan, engine, picture)
    done = [0] * loops
    begun, used = time.perf_counter(), time.process_time()

    def loop(number: int) -> None:
        while time.perf_counter() < begun + seconds:
            answer(plan, engine, picture)
            done[number] += 1

    workers = [threading.Thread(target=loop, args=(number,)) for number in range(loops)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took, cpu = time.perf_counter() - begun, time.process_time() - used
    engine.close()
    return {"rate": sum(done) / took, "cpu_ms": 1000 * cpu / sum(done)}


def main() -> None:
    """Print the speeds of all layouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--layouts", default=",".join("x".join(map(str, each)) for each in LAYOUTS))
    options = parser.parse_args()
    plan, picture = plan_model(find_cards((options.model,))[0]), options.picture.read_bytes()
    found = {
        words: speed(
            plan, picture, layout=tuple(map(int, words.split("x"))), seconds=options.seconds
        )
        for words in options.layouts.split(",")
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
