"""Every architecture of ``keras.applications``: the same scores, and what they cost.

    .venv/bin/python bench/keras_architectures.py [NAME ...] [--huge] [--scores] [--page]

For each: random weights (``bench/lively.py``), saved as ``.keras`` and ``.h5`` by Keras 3 and as
``.h5`` by Keras 2; scores of eight pictures compared; seconds to load, seconds from an empty
process to the first answer, milliseconds a picture and resident memory here and in Keras 3. Each
figure comes from a process of its own, one process at a time. Results are kept in
``bench/results/keras_architectures.json`` as they come in, so that a run may be cut short and
taken up again; ``docs/reference/keras.md`` is written of all of them (``--page``: only that).
``--scores`` leaves out what only costs: Keras' own times and memory, and the first answers; a
later run without it measures those rows anew. Where scores differ by more than the bound, the
framework runs the same weights in float64, and both are compared with that.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from lively import answers, enliven, pictures_for

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench/results/keras_architectures.json"
PAGE = ROOT / "docs/reference/keras.md"
PICTURES = 8
RUNS = 9
FEWEST_RUNS = 3
LONGEST_SECONDS = 10
MIB = 1 << 20
TOLERANCE = 1e-5
FIRST = "first_seconds"
FRAMEWORKS = {"keras3": "keras", "keras2": "tf_keras"}
FORMS = ("keras3.keras", "keras3.h5", "keras2.h5")

ARCHITECTURES = {
    "MobileNetV3Small": 224, "MobileNet": 224, "MobileNetV2": 224, "EfficientNetB0": 224,
    "ResNet50": 224, "ResNet50V2": 224, "EfficientNetV2B0": 224, "DenseNet121": 224,
    "ConvNeXtTiny": 224, "InceptionV3": 299, "Xception": 299, "NASNetMobile": 224, "VGG16": 224,
    "MobileNetV3Large": 224, "EfficientNetB1": 240, "EfficientNetV2B1": 240, "ResNet101": 224,
    "EfficientNetB2": 260, "EfficientNetV2B2": 260, "DenseNet169": 224, "EfficientNetB3": 300,
    "EfficientNetV2B3": 300, "DenseNet201": 224, "EfficientNetV2S": 384, "ConvNeXtSmall": 224,
    "ResNet101V2": 224, "InceptionResNetV2": 299, "EfficientNetB4": 380, "ResNet152": 224,
    "ResNet152V2": 224, "VGG19": 224, "EfficientNetB5": 456, "ConvNeXtBase": 224,
    "EfficientNetV2M": 480, "EfficientNetB6": 528, "EfficientNetV2L": 480, "ConvNeXtLarge": 224,
}  # fmt: skip
"""Those that both frameworks have, with the side of their pictures: one of each family first."""

HUGE = {"EfficientNetB7": 600, "NASNetLarge": 331, "ConvNeXtXLarge": 224}
"""Minutes and gigabytes each: asked for by ``--huge``."""


def main() -> None:
    """Measure what was asked for and is not known yet, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all if none are named")
    parser.add_argument("--huge", action="store_true", help="the largest three too")
    parser.add_argument("--scores", action="store_true", help="no costs of Keras, no first answers")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        job, name, folder = asked.child
        print(json.dumps(JOBS[job](name, Path(folder))))
        return
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else {}
    wanted = asked.names or [*ARCHITECTURES, *(HUGE if asked.huge else ())]
    for name in () if asked.page else wanted:
        if name in rows and not asked.names and (asked.scores or FIRST in rows[name]):
            continue
        rows[name] = measured(name, costs=not asked.scores)
        save(rows)
        print(f"{name}: {rows[name]}", flush=True)
    PAGE.write_text(page(rows))


def measured(name: str, *, costs: bool) -> dict[str, Any]:
    """One architecture in every form, and what it costs in Keras."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        row = child("make-keras3", name, folder)
        child("make-keras2", name, folder)
        answers = {form: child(f"here-{form}", name, folder) for form in FORMS}
        if costs:
            row |= child("keras", name, folder)
            row[FIRST] = seconds_of("first-here", name, folder)
            row[f"keras_{FIRST}"] = seconds_of("first-keras", name, folder)
        row |= {key: value for key, value in answers[FORMS[0]].items() if key != "difference"}
        row["difference"] = {form: answers[form]["difference"] for form in FORMS}
        apart = [form for form in FORMS if row["difference"][form] > TOLERANCE]
        if apart:
            row["truth"] = {form: child(f"truth-{form}", name, folder) for form in apart}
    return row


def seconds_of(job: str, name: str, folder: Path) -> float:
    """How long a job takes with its process, from nothing to its end."""
    begun = time.perf_counter()
    child(job, name, folder)
    return round(time.perf_counter() - begun, 2)


def child(job: str, name: str, folder: Path) -> dict[str, Any]:
    """Run one job in a process of its own; its last line is its result."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", job, name, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        return sys.exit(f"{job} of {name} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def make(framework: str, endings: tuple[str, ...]) -> Callable[[str, Path], dict[str, Any]]:
    """The job of building and saving a model, with the scores it gives."""

    def job(name: str, folder: Path) -> dict[str, Any]:
        keras = importlib.import_module(FRAMEWORKS[framework])
        side = {**ARCHITECTURES, **HUGE}[name]
        build = getattr(keras.applications, name)
        keras.utils.set_random_seed(1)
        model = enliven(build(weights=None, input_shape=(side, side, 3)))
        batch = pictures_for(model, PICTURES)
        scores = answers(model, batch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that HDF5 is old
            for ending in endings:
                model.save(folder / f"{framework}{ending}")
        np.savez(folder / f"{framework}.npz", batch=batch, scores=scores)
        spread = float((scores.max(axis=0) - scores.min(axis=0)).max())
        return {"parameters": model.count_params(), "side": side, "spread": spread}

    return job


def in_keras(_name: str, folder: Path) -> dict[str, Any]:
    """Load the ``.keras`` file with Keras 3 and answer, by predict and by a direct call."""
    import keras  # noqa: PLC0415 - only in this job's process

    batch = np.load(folder / "keras3.npz")["batch"]
    begun = time.perf_counter()
    model = keras.models.load_model(folder / "keras3.keras", compile=False)
    loaded = time.perf_counter() - begun
    return {
        "keras_load_seconds": round(loaded, 3),
        "keras_predict_ms": milliseconds(lambda row: model.predict(row, verbose=0), batch),
        "keras_call_ms": milliseconds(lambda row: np.asarray(model(row, training=False)), batch),
        "keras_mib": resident(),
    }


def here(form: str) -> Callable[[str, Path], dict[str, Any]]:
    """The job of reading a file and answering with the default engine."""

    def job(_name: str, folder: Path) -> dict[str, Any]:
        load, describe = imported()
        known = np.load(folder / f"{form.partition('.')[0]}.npz")
        batch, expected = known["batch"], known["scores"]
        begun = time.perf_counter()
        description = describe(folder / form)
        engine = load(description.graph)
        loaded = time.perf_counter() - begun
        operations = len(description.operations)
        del description
        scores = np.concatenate([engine.run(row[np.newaxis])[0] for row in batch])
        np.save(folder / f"{form}.npy", scores.reshape(expected.shape))
        return {
            "load_seconds": round(loaded, 3),
            "ms": milliseconds(engine.run, batch),
            "mib": resident(),
            "operations": operations,
            "difference": float(np.abs(scores.reshape(expected.shape) - expected).max()),
        }

    return job


def truth(form: str) -> Callable[[str, Path], dict[str, Any]]:
    """The job of asking the framework in float64: how far its own float32 and ours are from it."""

    def job(name: str, folder: Path) -> dict[str, Any]:
        framework = form.partition(".")[0]
        keras = importlib.import_module(FRAMEWORKS[framework])
        # Keras 3 does not read every .h5 that it wrote itself; its .keras has the same weights
        file = folder / (FORMS[0] if framework == "keras3" else form)
        weights = keras.models.load_model(file, compile=False).get_weights()
        known, here = np.load(folder / f"{framework}.npz"), np.load(folder / f"{form}.npy")
        batch = known["batch"].astype(np.float64)
        keras.backend.set_floatx("float64")
        keras.mixed_precision.set_global_policy("float64")
        build = getattr(keras.applications, name)
        model = build(weights=None, input_shape=batch.shape[1:])
        model.set_weights([np.asarray(each, np.float64) for each in weights])
        scores = answers(model, batch)
        if scores.dtype != np.float64:
            sys.exit(f"{framework} computed in {scores.dtype}")
        return {
            "framework": float(np.abs(known["scores"] - scores).max()),
            "here": float(np.abs(here - scores).max()),
        }

    return job


def imported() -> tuple[Callable[[Any], Any], Callable[[Path], Any]]:
    """What loads and what reads, with everything imported that they import when first used."""
    for module in ("h5py", "openvino", "tintype.modelfiles.keras.read"):
        importlib.import_module(module)
    from tintype.engines.catalog import load  # noqa: PLC0415 - only in this job's process
    from tintype.modelfiles.open import describe  # noqa: PLC0415

    return load, describe


def first_here(_name: str, folder: Path) -> dict[str, Any]:
    """Read the ``.keras`` file and answer once."""
    from tintype.engines.catalog import load  # noqa: PLC0415 - only in this job's process
    from tintype.modelfiles.open import describe  # noqa: PLC0415

    load(describe(folder / "keras3.keras").graph).run(np.load(folder / "keras3.npz")["batch"][:1])
    return {}


def first_in_keras(_name: str, folder: Path) -> dict[str, Any]:
    """Load the ``.keras`` file with Keras 3 and answer once."""
    import keras  # noqa: PLC0415 - only in this job's process

    model = keras.models.load_model(folder / "keras3.keras", compile=False)
    model(np.load(folder / "keras3.npz")["batch"][:1], training=False)
    return {}


def milliseconds(run: Callable[[Any], Any], batch: Any) -> float:
    """The median time of one picture, after two to warm up; fewer runs where they are long."""
    times: list[float] = []
    for number in range(RUNS + 2):
        if len(times) >= FEWEST_RUNS + 2 and sum(times) > LONGEST_SECONDS:
            break
        row = batch[number % len(batch)][np.newaxis]
        begun = time.perf_counter()
        run(row)
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times[2:]) * 1000, 2)


def resident() -> int:
    """MiB of this process in memory now."""
    gc.collect()
    return round(psutil.Process().memory_info().rss / MIB)


JOBS: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "make-keras3": make("keras3", (".keras", ".h5")),
    "make-keras2": make("keras2", (".h5",)),
    "keras": in_keras,
    "first-here": first_here,
    "first-keras": first_in_keras,
    **{f"here-{form}": here(form) for form in FORMS},
    **{f"truth-{form}": truth(form) for form in FORMS},
}


def save(rows: dict[str, Any]) -> None:
    """Keep what is known, with what it was measured on."""
    packages = ("keras", "tf-keras", "tensorflow", "openvino", "numpy")
    facts = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }
    RESULTS.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


def page(rows: dict[str, Any]) -> str:
    """The figures as a page of the documentation."""
    facts = json.loads(RESULTS.read_text())["machine"]
    every = (*ARCHITECTURES, *HUGE)
    known = [name for name in every if name in rows]
    missing = [name for name in every if name not in rows]
    lines = [*_head(facts, len(known)), *(_row(name, rows[name]) for name in known)]
    if any(FIRST not in row for row in rows.values()):
        lines += ["", "Where figures were *not run*, only the scores were compared."]
    lines += _truths(rows)
    if missing:
        lines += ["", f"Not run for this table: {', '.join(missing)}."]
    return "\n".join([*lines, *_tail(rows)]) + "\n"


def _head(facts: dict[str, Any], count: int) -> list[str]:
    versions = ", ".join(
        f"{name} {value}" for name, value in facts.items() if name not in {"cores", "python"}
    )
    return [
        "# Keras architectures",
        "",
        (
            "Whole networks of `keras.applications`, with random weights, read by Tintype and "
            "answered by its default engine, beside Keras itself."
        ),
        "",
        (
            "Made by `make keras-proof` (`bench/keras_architectures.py`) on "
            f"{facts['cores']} cores, Python {facts['python']}, {versions}. {count} architectures. "
            "Weights are random but lively: batch normalisations remember real statistics, and "
            "different pictures get different scores."
        ),
        "",
        (
            "- *Difference*: the largest difference of a score over eight pictures between Tintype "
            "and the framework that wrote the file: `.keras` and `.h5` of Keras 3, `.h5` of "
            "Keras 2. "
            f"The bound is {TOLERANCE:g}."
        ),
        (
            "- *Spread*: how far the scores of the eight pictures lie apart, the class where they "
            "differ most: what a difference must be compared with."
        ),
        (
            "- *Load*: seconds from the file to a compiled model, the libraries' imports left out "
            "on both sides. Keras: `load_model` of the `.keras` file."
        ),
        (
            "- *First answer*: seconds of a whole process that starts, imports, loads the `.keras` "
            "file, answers one picture and ends."
        ),
        (
            "- *A picture*: milliseconds for one picture, median; Keras by `model.predict` and by "
            "calling the model."
        ),
        "- *Memory*: MiB resident after the answers, whole process.",
        "",
        (
            "The machine was busy with other work all along, and each figure is of a moment of its "
            "own. So single times and even single ratios are distorted; the medians below say more."
        ),
        "",
        (
            "| architecture | side | parameters | spread | difference `.keras` | `.h5` | "
            "Keras 2 `.h5` | load, s: here | Keras | first answer, s: here | Keras | "
            "a picture, ms: here | `predict` | call | "
            "memory, MiB: here | Keras |"
        ),
        "| --- |" + 15 * " --: |",
    ]


def _truths(rows: dict[str, Any]) -> list[str]:
    """Who is nearer to float64, a line a file whose scores differ by more than the bound."""
    told = [
        f"- {name}, {_WRITTEN[form]}: {found['framework']:.1e} the framework, "
        f"{found['here']:.1e} Tintype.{_NOTHING * (found['framework'] > _BLIND)}"
        for name, row in rows.items()
        for form, found in row.get("truth", {}).items()
    ]
    if not told:
        return []
    words = (
        "Where a difference is above the bound, the framework ran the same weights in float64. The "
        "largest distance of a score from that, of each one's own float32:"
    )
    return ["", words, "", *told]


_BLIND = 0.01
_NOTHING = (
    " With these weights the framework's own float32 is that far off: the row proves little, and "
    "that the file is read right is shown by the smaller ones of its family."
)

_WRITTEN = {"keras3.keras": "`.keras`", "keras3.h5": "`.h5`", "keras2.h5": "Keras 2 `.h5`"}
"""The forms of ``FORMS`` in words."""


def _row(name: str, row: dict[str, Any]) -> str:
    differences = " | ".join(f"{row['difference'][form]:.1e}" for form in FORMS)
    figures = " | ".join(
        f"{row[key]:{form}}" if key in row else "not run" for key, form in _FIGURES.items()
    )
    return (
        f"| {name} | {row['side']} | {row['parameters']:,} | {row['spread']:.1e} | {differences} | "
        f"{figures} |"
    )


_FIGURES = {
    "load_seconds": ".2f",
    "keras_load_seconds": ".2f",
    FIRST: ".1f",
    f"keras_{FIRST}": ".1f",
    "ms": ".1f",
    "keras_predict_ms": ".1f",
    "keras_call_ms": ".1f",
    "mib": "",
    "keras_mib": "",
}
"""The figures of a row, in the order of the page, and how they are written."""


def _tail(rows: dict[str, Any]) -> list[str]:
    def ratio(above: str, below: str) -> str:
        values = sorted(row[above] / row[below] for row in rows.values() if above in row)
        return f"{statistics.median(values):.1f} ({values[0]:.1f} to {values[-1]:.1f})"

    return [
        "",
        (
            "How many times Keras needs what Tintype needs (median, and the range of "
            f"{sum(FIRST in row for row in rows.values())} architectures):"
        ),
        "",
        "| load | first answer | a picture by `predict` | a picture by a call | memory |",
        "| --: | --: | --: | --: | --: |",
        (
            f"| {ratio('keras_load_seconds', 'load_seconds')} | "
            f"{ratio('keras_first_seconds', 'first_seconds')} | "
            f"{ratio('keras_predict_ms', 'ms')} | "
            f"{ratio('keras_call_ms', 'ms')} | {ratio('keras_mib', 'mib')} |"
        ),
        "",
        "## A word on ONNX Runtime",
        "",
        (
            "The tests hold the smallest network of each family to ONNX Runtime too. One thing "
            "stood in its way. Its optimiser joins a padding with zeros into the max pooling "
            "behind it (`pad_fusion.cc`, seen in 1.31), but a pooling's own padding counts as "
            "minus infinity: wherever the numbers before it can be negative, the border comes out "
            "wrong. The ResNets V2 have such a place, for their first pooling has no ReLU before "
            "it: a score of ResNet50V2 was wrong by 1.3e-3, and by 3e-7 with that optimisation "
            "off. Tintype writes such a padding with the value minus zero. That is the same "
            "number, and ONNX Runtime leaves it alone."
        ),
    ]


if __name__ == "__main__":
    main()
