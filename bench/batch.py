"""``tintype batch`` beside a bare loop over the same files, in one process, in turns.

python bench/batch.py MODEL FOLDER [--rounds 5] [--repeat 1] [--ending parquet]

The bare loop is what nobody can do better with this engine and decoder in one process: threads
that each read a file, decode, prepare and run it, and throw the numbers away. Its best layout
counts, of one or two threads more than processors: fewer were slower. The batch lists the folder,
answers, keeps what is answered on the disk, and writes the table. Prints one JSON object: pictures
a second of both in each round, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.limit import answer
from tintype.bulk.folders import files_below
from tintype.bulk.job import Job, run
from tintype.bulk.road import local_road
from tintype.bulk.rows import Asker, Done, recipe_text
from tintype.bulk.sources import Sources, Store
from tintype.engines.catalog import load
from tintype.engines.engine import Engine, EngineOptions
from tintype.models.host import ModelHost
from tintype.models.library import find_cards
from tintype.models.plan import ModelPlan, plan_model
from tintype.predict import PredictRequest
from tintype.settings import Settings
from tintype.wiring.bulk import direct, loaded, threads_for, throughput

_CORES = os.cpu_count() or 1


def bare(plan: ModelPlan, engine: Engine, files: list[Path], *, threads: int) -> float:
    """Pictures a second of a loop in each of some threads."""
    waiting = iter(files)
    lock = threading.Lock()
    begun = time.perf_counter()

    def loop() -> None:
        while True:
            with lock:
                file = next(waiting, None)
            if file is None:
                return
            answer(plan, engine, file.read_bytes())

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(files) / (time.perf_counter() - begun)


def batch(hosts: tuple[ModelHost, ...], named: tuple[str, ...], ending: str) -> float:
    """Pictures a second of a whole job, from its first listing to its table."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Sources(named=named, max_bytes=25 << 20, store=_no_store)
        job = Job(sources=sources, out=Path(folder) / f"results.{ending}", manifest={})
        recipes = {host.name: recipe_text(host.recipe) for host in hosts}
        asker = Asker(
            direct(hosts, settings=Settings()), PredictRequest(image=b""), recipes=recipes
        )
        job.check()
        begun = time.perf_counter()
        written = run(job, local_road(asker, threads=threads_for(hosts)), progress=_quiet)
        return (written.rows + written.failures) / (time.perf_counter() - begun)


@contextlib.contextmanager
def _quiet(items: int, failures: int) -> Iterator[Callable[[Done], None]]:
    del items, failures
    yield lambda _: None


def _no_store() -> Store:
    raise NotImplementedError


def main() -> None:
    """Print both speeds of every round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="go through the folder so often")
    parser.add_argument("--ending", default="parquet")
    options = parser.parse_args()
    card = find_cards((options.model,))[0]
    plan = plan_model(card)
    layout: EngineOptions = throughput(EngineOptions())
    engine = load(plan.description.graph, engine=plan.engine, options=layout)
    files = [*files_below(options.folder)] * options.repeat
    found: list[dict[str, float]] = []
    with loaded((plan_model(card),), settings=Settings()) as hosts:
        for _ in range(options.rounds):
            loops = [bare(plan, engine, files, threads=_CORES + more) for more in (1, 2)]
            rate = batch(hosts, (str(options.folder),) * options.repeat, options.ending)
            found.append({"bare": max(loops), "batch": rate, "ratio": rate / max(loops)})
    ratio = statistics.median(each["ratio"] for each in found)
    print(json.dumps({"pictures": len(files), "rounds": found, "ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
