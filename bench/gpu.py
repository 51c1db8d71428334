"""A GPU at work: ONNX Runtime with CUDA or TensorRT, alone in batches and behind Tintype's batcher.

    python bench/gpu.py [--providers TensorrtExecutionProvider,CUDAExecutionProvider]
                        [--models mobilenetv2,resnet50,efficientnetb0] [--out FILE]

Needs ``onnxruntime-gpu`` (with TensorRT's libraries for that provider) beside Tintype, and the
folder that ``bench/serving/materials.py`` makes. Without ``--providers`` it takes those that this
machine's ONNX Runtime has; on one without a GPU that is the CPU alone, which the results then say.

For every provider and model: the session in a bare loop at each batch size (the limit), and
clients that submit one row after another to the batcher (dynamic batching: a batch closes by
arrival). Prints one JSON object with the card's name; figures are absolute, pictures a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from tintype.batching.batcher import Batcher
from tintype.batching.policy import BatchPolicy
from tintype.engines.pooled import PooledEngine, facts_of
from tintype.engines.tensors import Raw, sample_rows
from tintype.errors import EngineFailed
from tintype.models.library import find_cards
from tintype.models.plan import plan_model
from tintype.types import Graph, Tensor

BATCHES = (1, 8, 32)
CLIENTS = (1, 8, 64, 256)
CPU = "CPUExecutionProvider"


class Session:
    """A graph on one provider, any batch size up to the largest of ``BATCHES``; a runner."""

    def __init__(self, graph: Graph, provider: str) -> None:
        self._input = graph.input.name
        self._outputs = [output.name for output in graph.outputs]
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            free_batch(graph), settings, providers=[(provider, options_of(graph, provider))]
        )
        if provider not in self._session.get_providers():
            raise RuntimeError(f"{provider} could not be set up; ONNX Runtime would use the CPU")

    def run(self, batch: Tensor) -> Sequence[Raw]:
        """The outputs of a batch."""
        try:
            answers: Sequence[Raw] = self._session.run(self._outputs, {self._input: batch})
        except Exception as error:
            # the library's errors share no class but this one
            raise EngineFailed(f"ONNX Runtime could not run the batch: {error}") from error
        return answers


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


def options_of(graph: Graph, provider: str) -> dict[str, str]:
    """TensorRT builds an engine for a range of batch sizes that it must be told."""
    if not provider.startswith("Tensorrt"):
        return {}
    name, sides = graph.input.name, "x".join(str(side) for side in graph.input.shape[1:])
    least, usual, most = BATCHES
    return {
        "trt_profile_min_shapes": f"{name}:{least}x{sides}",
        "trt_profile_opt_shapes": f"{name}:{usual}x{sides}",
        "trt_profile_max_shapes": f"{name}:{most}x{sides}",
    }


def alone(session: Session, graph: Graph, *, batch: int, seconds: float) -> dict[str, float]:
    """The session in a bare loop: pictures a second, milliseconds a run."""
    rows = sample_rows(graph.input, rows=batch)
    for _ in range(3):
        session.run(rows)
    runs, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < seconds:
        session.run(rows)
        runs += 1
    return {"rate": runs * batch / took, "run_ms": 1000 * took / runs}


async def batched(
    session: Session, graph: Graph, *, clients: int, seconds: float
) -> dict[str, float]:
    """Clients that each submit one row after another: rate, mean batch, p50 and p99 of a row."""
    engine = PooledEngine(facts_of(graph, name="onnxruntime", batch_size=None), [session])
    rows, times = sample_rows(graph.input, rows=clients), []
    policy = BatchPolicy(max_batch=BATCHES[-1], max_queue=max(CLIENTS))
    sizes: list[int] = []
    async with Batcher(engine, policy=policy, on_batch=sizes.append) as each:
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


def measure(model: Path, provider: str, *, seconds: float) -> dict[str, Any]:
    """Both ways for one model on one provider, or why not."""
    graph = plan_model(find_cards((model,))[0]).description.graph
    try:
        begun = time.perf_counter()
        session = Session(graph, provider)
        session.run(sample_rows(graph.input, rows=1))
        told: dict[str, Any] = {"seconds_to_first_run": time.perf_counter() - begun}
        told["alone"] = {
            str(batch): alone(session, graph, batch=batch, seconds=seconds) for batch in BATCHES
        }
        told["batched"] = {
            str(count): asyncio.run(batched(session, graph, clients=count, seconds=seconds))
            for count in CLIENTS
        }
    except Exception as error:  # noqa: BLE001 - one provider must not end the others
        return {"failed": f"{type(error).__name__}: {error}"[:1000]}
    best = max(each["rate"] for each in told["alone"].values())
    told["batched_of_alone"] = max(each["rate"] for each in told["batched"].values()) / best
    return told


def card() -> str:
    """The name of the GPU, its driver; says so where there is none."""
    if shutil.which("nvidia-smi") is None:
        return "NO GPU: these are figures of the CPU"
    words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    ran = subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)
    return ran.stdout.strip() or f"NO GPU: {ran.stderr.strip()}"


def main() -> None:
    """Measure, telling how far it is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--providers", default="", help="names of ONNX Runtime, comma between")
    parser.add_argument("--models", default="mobilenetv2,resnet50,efficientnetb0")
    parser.add_argument("--materials", type=Path, default=Path(__file__).parent / ".materials")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    here = onnxruntime.get_available_providers()
    known = [each for each in here if each.startswith(("Tensorrt", "CUDA"))] or [CPU]
    providers = [each for each in options.providers.split(",") if each] or known
    results: dict[str, Any] = {
        "card": card() if providers != [CPU] else "NO GPU: these are figures of the CPU",
        "onnxruntime": onnxruntime.__version__,
        "providers": {},
    }
    for provider in providers:
        for name in options.models.split(","):
            print(f"{provider}, {name}", file=sys.stderr, flush=True)
            found = measure(options.materials / f"{name}.keras", provider, seconds=options.seconds)
            results["providers"].setdefault(provider, {})[name] = found
    text = json.dumps(results, indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
