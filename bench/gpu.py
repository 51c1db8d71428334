"""A GPU at work: a model alone in batches, behind the batcher, and served; beside what it needs.

    python bench/gpu.py [--device cuda] [--models mobilenetv2,resnet50,efficientnetb0]
                        [--seconds 2] [--only engine,agreement,choices,around,serving] [--out FILE]

Needs ``onnxruntime-gpu`` beside Tintype, h2load (Debian: nghttp2-client), and the folder that
``bench/serving/materials.py`` makes. ``--device cpu`` tries the script where there is no GPU, and
the results then say so.

``engine``: the engine in a bare loop at each batch size, in one thread and in two (the limit), and
clients that submit one row after another to the batcher. ``agreement``: scores beside those of the
processor. ``choices``: how ONNX Runtime looks for convolutions, and what copies cost. ``around``
and ``serving``: see ``gpu_serving.py``. Prints tables, writes one JSON object with the card's name;
figures are absolute, pictures a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from gpu_serving import around, serving
from gpu_tables import tables
from serving.limit import threads_at
from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.catalog import load
from tintype.engines.engine import CPU, Engine, EngineOptions
from tintype.engines.onnxruntime_cuda import PROVIDER
from tintype.engines.tensors import sample_rows
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.types import Graph, Tensor

BATCHES = (1, 8, 32, 64, 128)
CLIENTS = (1, 8, 64, 256)
LOOPS = (1, 2)
PARTS = ("engine", "agreement", "choices", "around", "serving")
_SEARCHES = ("HEURISTIC", "EXHAUSTIVE", "DEFAULT")
_NEW_SIZES = (3, 17, 42, 64)
_AGREEING_ROWS = 32


def engine_for(
    graph: Graph, *, device: str, precision: str = "f32", most: int = max(BATCHES)
) -> Engine:
    """The engine as a server has it once it answers, ready for batches up to ``most``."""
    options = EngineOptions(device=device, precision=precision, batch=most)
    engine = load(graph, engine="onnxruntime", options=options)
    engine.widen()
    return engine


def alone(engine: Engine, rows: Tensor, *, loops: int, seconds: float) -> dict[str, float]:
    """The engine in a bare loop of so many threads: pictures a second, milliseconds a run."""
    runs, took, _ = threads_at(lambda: engine.run(rows), loops=loops, seconds=seconds)
    return {"rate": runs * len(rows) / took, "run_ms": 1000 * took * loops / runs}


async def batched(
    engine: Engine, graph: Graph, *, clients: int, seconds: float, together: bool
) -> dict[str, float]:
    """Clients that each submit one row after another: rate, mean batch, p50 and p99 of a row."""
    rows, times = sample_rows(graph.input, rows=clients), []
    sizes: list[int] = []
    engine.run(rows[:1])
    policy = BatchPolicy(max_queue=max(CLIENTS))
    async with Batcher(engine, policy=policy, on_batch=sizes.append, together=together) as each:
        begun = time.perf_counter()

        async def client(row: int) -> None:
            while (asked := time.perf_counter()) < begun + seconds:
                await each.submit(rows[row], deadline=time.monotonic() + 60)
                times.append(time.perf_counter() - asked)

        await asyncio.gather(*(client(row) for row in range(clients)))
        took = time.perf_counter() - begun
    times.sort()
    return {
        "rate": len(times) / took,
        "mean_batch": sum(sizes) / len(sizes),
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(0.99 * (len(times) - 1))],
    }


def engines(graph: Graph, *, device: str, seconds: float) -> dict[str, Any]:
    """The bare loops, and the batcher on the same engine; both precisions of a GPU."""
    told: dict[str, Any] = {}
    for precision in ("f32",) if device == CPU else ("f32", "tf32"):
        begun = time.perf_counter()
        engine = engine_for(graph, device=device, precision=precision)
        engine.run(sample_rows(graph.input, rows=1))
        found: dict[str, Any] = {"seconds_to_start": time.perf_counter() - begun, "alone": {}}
        for batch in BATCHES:
            rows = sample_rows(graph.input, rows=batch)
            found["alone"][str(batch)] = {
                f"threads_{loops}": alone(engine, rows, loops=loops, seconds=seconds / 2)
                for loops in LOOPS
            }
        if precision == "f32":
            found["batched"] = {
                str(count): asyncio.run(
                    batched(engine, graph, clients=count, seconds=seconds, together=device != CPU)
                )
                for count in CLIENTS
            }
        engine.close()
        told[precision] = found
    return told


def agreement(graph: Graph, *, device: str) -> dict[str, Any]:
    """Scores of the same noise on the processor and on ``device``, in each precision."""
    rows = sample_rows(graph.input, rows=_AGREEING_ROWS)
    right = engine_for(graph, device=CPU).run(rows)[0]
    told: dict[str, Any] = {"largest_score": float(right.max())}
    for precision in ("f32",) if device == CPU else ("f32", "tf32"):
        engine = engine_for(graph, device=device, precision=precision, most=_AGREEING_ROWS)
        one_by_one = np.concatenate([engine.run(rows[row : row + 1])[0] for row in range(8)])
        got = engine.run(rows)[0]
        told[precision] = {
            "difference": float(np.abs(got - right).max()),
            "of_largest": float(np.abs(got - right).max() / right.max()),
            "same_first": float((got.argmax(1) == right.argmax(1)).mean()),
            "batch_or_alone": float(np.abs(got[:8] - one_by_one).max()),
        }
        engine.close()
    return told


def free_batch(graph: Graph) -> bytes:
    """The ONNX graph with a free batch axis."""
    source = graph.source if isinstance(graph.source, bytes) else Path(graph.source).read_bytes()
    model = onnx.load_model_from_string(source)
    del model.graph.value_info[:]
    for place in (*model.graph.input, *model.graph.output):
        if place.type.tensor_type.shape.dim:
            place.type.tensor_type.shape.dim[0].dim_param = "batch"
    content: bytes = model.SerializeToString()
    return content


def choices(graph: Graph, *, seconds: float) -> dict[str, Any]:
    """Each way of looking for convolutions: the first run of a new batch size, and the rate then.

    And the rate of batches that lie on the GPU already, beside those copied there and back.
    """
    content = free_batch(graph)
    told: dict[str, Any] = {}
    for search in _SEARCHES:
        options = {"use_tf32": "0", "cudnn_conv_algo_search": search}
        session = onnxruntime.InferenceSession(content, providers=[(PROVIDER, options)])
        run = partial(_run, session, graph)
        run(sample_rows(graph.input, rows=1))
        found: dict[str, Any] = {"first_ms": {}, "rate": {}}
        for size in _NEW_SIZES:
            rows = sample_rows(graph.input, rows=size)
            begun = time.perf_counter()
            run(rows)
            found["first_ms"][str(size)] = 1000 * (time.perf_counter() - begun)
        for size in (1, 64):
            once = partial(run, sample_rows(graph.input, rows=size))
            runs, took, _ = threads_at(once, loops=1, seconds=seconds / 2)
            found["rate"][str(size)] = runs * size / took
        told[search] = found
    session = onnxruntime.InferenceSession(content, providers=[(PROVIDER, {"use_tf32": "0"})])
    told["lying on the GPU"] = {
        str(size): _lying(session, graph, size=size, seconds=seconds / 2) for size in BATCHES
    }
    return told


def _run(session: Any, graph: Graph, rows: Tensor) -> object:
    return session.run([output.name for output in graph.outputs], {graph.input.name: rows})


def _lying(session: Any, graph: Graph, *, size: int, seconds: float) -> float:
    """Pictures a second of one batch that stays on the GPU, outputs there, too."""
    rows = sample_rows(graph.input, rows=size)
    binding = session.io_binding()
    binding.bind_ortvalue_input(
        graph.input.name, onnxruntime.OrtValue.ortvalue_from_numpy(rows, "cuda", 0)
    )
    for output in graph.outputs:
        binding.bind_output(output.name, "cuda")
    once = partial(session.run_with_iobinding, binding)
    runs, took, _ = threads_at(once, loops=1, seconds=seconds)
    return runs * size / took


def card(device: str) -> str:
    """The name of the GPU, its driver; says so where there is none."""
    if device == CPU or shutil.which("nvidia-smi") is None:
        return "NO GPU: these are figures of the CPU"
    words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
    return ran.stdout.strip() or f"NO GPU: {ran.stderr.strip()}"


def works(
    model: Path, materials: Path, *, device: str, counts: tuple[int, ...], seconds: float
) -> dict[str, Callable[[], dict[str, Any]]]:
    """What can be measured of a model, by the name of the part."""
    graph = plan_model(find_cards((model,))[0]).description.graph
    found: dict[str, Callable[[], dict[str, Any]]] = {
        "agreement": lambda: agreement(graph, device=device),
        "engine": lambda: engines(graph, device=device, seconds=seconds),
        "around": lambda: around(model, materials, seconds=seconds, device=device),
        "serving": lambda: serving(model, materials, counts=counts, seconds=seconds, device=device),
    }
    if device != CPU:
        found["choices"] = lambda: choices(graph, seconds=seconds)
    return found


def main() -> None:
    """Measure, telling how far it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", default="mobilenetv2,resnet50,efficientnetb0")
    parser.add_argument("--materials", type=Path, default=Path(__file__).parent / ".materials")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--servers", default="1,2,4,8", help="how many on one GPU, each on a share")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    results: dict[str, Any] = {
        "card": card(options.device),
        "cores": len(os.sched_getaffinity(0)),
        "onnxruntime": onnxruntime.__version__,
        "python": sys.version.partition(" ")[0],
        "models": {},
    }
    begun = time.perf_counter()
    for name in options.models.split(","):
        told = results["models"][name] = {}
        todo = works(
            options.materials / f"{name}.keras",
            options.materials,
            device=options.device,
            counts=tuple(int(each) for each in options.servers.split(",")),
            seconds=options.seconds,
        )
        for part in [each for each in todo if each in options.only.split(",")]:
            print(f"{time.perf_counter() - begun:6.1f} s: {name}, {part}", file=sys.stderr)
            try:
                told[part] = todo[part]()
            except Exception as error:  # noqa: BLE001 - one part must not end the others
                told[part] = {"failed": f"{type(error).__name__}: {error}"[:1000]}
                print(told[part]["failed"], file=sys.stderr)
            if options.out:
                options.out.write_text(json.dumps(results, indent=1) + "\n")
    print("\n\n".join(tables(results)))


if __name__ == "__main__":
    main()
