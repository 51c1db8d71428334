"""Train `cats-dogs`: a whole photograph -> cats or dogs.

    python training/cats_dogs.py                  # on all training photographs, writes the model
    python training/cats_dogs.py --holdout 0.15   # development: measures on a part of train

From scratch: no weights of others. The schedule is fixed and the last moving average of the
weights is kept, so the validation photographs are looked at once, when everything is decided.
Needs the photographs (see training/README.md).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from augment import MILD, Strength
from network import build
from photos import Photos, find, load, split, view
from report import confusion, markdown_table, save_figures, save_model
from schedule import Averager, Plan, Stage, train

FOLDERS = ("cats", "dogs")
"""Where the photographs of each class lie, in the order of the classes."""

LABELS = ("cat", "dog")
SIZE = 112
STORED_SIZE = 192
THREADS = 2
HOLDOUT_SEED = 1
PLAN = Plan(
    stages=(Stage(64, 60, Strength()), Stage(96, 90, Strength()), Stage(SIZE, 12, MILD)),
)


def evaluation_view(photos: Photos) -> np.ndarray:
    """The photographs exactly as the recipe prepares them: float32, not rounded."""
    return np.stack([view(path, SIZE) for path in photos.paths])


def finished(average: Averager) -> keras.Model:
    """The averaged weights in a plain float32 model."""
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    model = build(SIZE)
    average.copy_to(model)
    keras.config.set_dtype_policy(with_policy)
    return model


def measure(model: keras.Model, photos: Photos) -> dict[str, Any]:
    """Accuracy, loss and confusion matrix on these photographs."""
    dog = model.predict(evaluation_view(photos), batch_size=64, verbose=0)[:, 0]
    table = confusion(photos.classes, (dog > 0.5).astype(int), len(LABELS))
    right = np.clip(np.where(photos.classes == 1, dog, 1.0 - dog), 1e-7, 1.0)
    return {
        "photographs": len(photos.paths),
        "accuracy": round(float(table.trace() / table.sum()), 4),
        "per_label": {
            label: round(float(table[i, i] / table[i].sum()), 4) for i, label in enumerate(LABELS)
        },
        "log_loss": round(float(-np.log(right).mean()), 4),
        "confusion": table.tolist(),
    }


def watcher(held: Photos, every: int = 10) -> Callable[[int, Averager, Stage], str]:
    """Accuracy on held-out training photographs every few epochs."""
    pictures = {size: load(held, size).astype(np.float32) for size in {s.size for s in PLAN.stages}}

    def watch(epoch: int, average: Averager, stage: Stage) -> str:
        if epoch % every and epoch != PLAN.epochs:
            return ""
        model = build(stage.size)
        average.copy_to(model)
        dog = model.predict(pictures[stage.size], batch_size=64, verbose=0)[:, 0]
        return f"held-out accuracy {np.mean((dog > 0.5) == held.classes):.3f}"

    return watch


def develop(photos: Photos, share: float) -> None:
    """Train on a part of the training photographs, measure on the rest; write nothing."""
    fit, held = split(photos, share, HOLDOUT_SEED)
    average = train(PLAN, load(fit, STORED_SIZE), fit.classes, watcher(held))
    print("held out:", measure(finished(average), held))


def produce(photos: Photos) -> None:
    """Train on all training photographs, measure once on validation, write everything."""
    average = train(PLAN, load(photos, STORED_SIZE), photos.classes)
    model = finished(average)
    figures = measure(model, find("validation", FOLDERS))
    print(markdown_table(LABELS, np.array(figures["confusion"])))
    print(figures)
    training = {"photographs": len(photos.paths), "epochs": PLAN.epochs, "seed": PLAN.seed}
    everything = {"parameters": model.count_params(), "training": training, "validation": figures}
    save_figures("cats-dogs", save_model("cats-dogs", model, LABELS), everything)


def main() -> None:
    """Read the options and do one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--holdout", type=float, default=0.0, help="share of train to hold out")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    keras.config.set_dtype_policy("mixed_bfloat16")
    photos = find("train", FOLDERS)
    print(f"{len(photos.paths)} training photographs")
    if options.holdout:
        develop(photos, options.holdout)
    else:
        produce(photos)


if __name__ == "__main__":
    main()
