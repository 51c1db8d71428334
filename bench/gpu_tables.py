"""What ``gpu.py`` found, as tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def tables(results: dict[str, Any]) -> Iterator[str]:
    """One table a part, for every model that has it."""
    yield f"{results['card']}; {results['cores']} cores; ONNX Runtime {results['onnxruntime']}"
    for part, (heads, rows) in _PARTS.items():
        found = [
            [name, *row]
            for name, parts in results["models"].items()
            if part in parts and "failed" not in parts[part]
            for row in rows(parts[part])
        ]
        if found:
            yield f"{part}\n" + _table(["model", *heads], found)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *([_word(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _word(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if cell >= 100 else f"{cell:.3g}"
    return str(cell)


def _alone(found: dict[str, Any]) -> Iterator[list[Any]]:
    for precision, each in found.items():
        for batch, ways in each["alone"].items():
            rates = [ways[f"threads_{loops}"]["rate"] for loops in (1, 2)]
            yield [precision, f"bare, {batch}", *rates, ways["threads_1"]["run_ms"], "", ""]
        for clients, way in each.get("batched", {}).items():
            tail = [way["p50_ms"], way["p99_ms"], way["mean_batch"]]
            yield [precision, f"batcher, {clients} clients", "", way["rate"], *tail]


def _agreement(found: dict[str, Any]) -> Iterator[list[Any]]:
    for precision, each in found.items():
        if isinstance(each, dict):
            names = ("difference", "of_largest", "same_first", "batch_or_alone")
            yield [precision, *(each[name] for name in names)]


def _choices(found: dict[str, Any]) -> Iterator[list[Any]]:
    for search, each in found.items():
        if "first_ms" in each:
            firsts = " / ".join(f"{ms:.0f}" for ms in each["first_ms"].values())
            yield [search, firsts, each["rate"]["1"], each["rate"]["64"]]
        else:
            rates = " / ".join(f"{rate:,.0f}" for rate in each.values())
            yield [f"{search}, batches {' / '.join(each)}", rates, "", ""]


def _around(found: dict[str, Any]) -> Iterator[list[Any]]:
    for way in ("ready_in_threads", "ready_in_processes"):
        for count, rate in found[way].items():
            yield [way, count, rate, ""]
    bulk = found["bulk"]
    yield ["bulk, threads", str(bulk["threads"]), bulk["rate"], bulk["cores"]]


def _serving(found: dict[str, Any]) -> Iterator[list[Any]]:
    names = ("rate", "failed", "p50_ms", "p99_ms", "mean_batch", "cores", "loop_busy", "gpu_busy")
    for count, loads in found.items():
        for connections, load in loads.items():
            if isinstance(load, dict):
                yield [count, connections, *(load[name] for name in names)]


_PARTS = {
    "agreement": (["precision", "difference", "of largest", "same first", "alone"], _agreement),
    "engine": (
        ["precision", "way", "1 thread", "2 threads", "p50 or run ms", "p99", "batch"],
        _alone,
    ),
    "choices": (
        ["search", "first ms of 3 / 17 / 42 / 64", "rate of 1", "rate of 64"],
        _choices,
    ),
    "around": (["what", "how many", "pictures/s", "cores"], _around),
    "serving": (
        [
            "servers",
            "conn.",
            "answers/s",
            "failed",
            "p50",
            "p99",
            "batch",
            "cores",
            "loop",
            "GPU %",
        ],
        _serving,
    ),
}
