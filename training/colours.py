"""Train `colours`: 9x9 pixels around a point -> one of 18 colour names.

    python training/colours.py

Needs no data: the patches are synthesised (see colour_patches.py), and the ranges of the names
come from the xkcd colour survey (see colour_names.py). Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from colour_names import LABELS, parse
from colour_patches import SIZE, PatchMaker
from report import confusion, save_figures, save_model

TRAIN_SEED, TEST_SEED = 9, 2009
PER_LABEL, TEST_PER_LABEL = 6000, 1000
EPOCHS, BATCH, RATE = 24, 256, 3e-3
AVERAGE_DECAY = 0.998
THREADS = 2
PLAIN_CASES = {
    "dc1e1e": "red", "000000": "black", "ffffff": "white", "808080": "grey", "ff8000": "orange",
    "ffeb00": "yellow", "00a000": "green", "0000ff": "blue", "1e5ad2": "blue",
    "40e0d0": "turquoise", "008080": "turquoise", "800080": "purple", "ff69b4": "pink",
    "6b3a14": "brown", "f5f5dc": "beige", "d4af37": "gold", "b76e79": "rose gold",
}  # fmt: skip


def build() -> keras.Model:
    """Three small convolutions, then the mean over the patch."""
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), name="patch"),
            layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling"),
            layers.Conv2D(24, 1, activation="relu", name="mix"),
            layers.Conv2D(32, 3, activation="relu", name="near"),
            layers.Conv2D(48, 3, activation="relu", name="far"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(96, activation="relu", name="think"),
            layers.Dense(len(LABELS), activation="softmax", name="colour"),
        ],
        name="colours",
    )


def fit(model: keras.Model, patches: np.ndarray, truth: np.ndarray) -> None:
    """A fixed schedule (half a cosine) with an average of the weights; the last one is kept."""
    steps = EPOCHS * (len(patches) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(
        keras.optimizers.AdamW(rate, use_ema=True, ema_momentum=AVERAGE_DECAY),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(patches, truth, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    model.optimizer.finalize_variable_values(model.trainable_variables)


def answers(model: keras.Model, patches: np.ndarray) -> np.ndarray:
    """Scores, one row a patch."""
    return model.predict(patches.astype(np.float32), batch_size=2048, verbose=0)


def plain_cases(model: keras.Model) -> dict[str, dict[str, Any]]:
    """What the model calls a patch of one even colour."""
    colours = parse(" ".join(PLAIN_CASES))
    scores = answers(model, np.tile(colours[:, None, None, :], (1, SIZE, SIZE, 1)))
    return {
        f"#{code}": {
            "expected": expected,
            "answered": LABELS[row.argmax()],
            "score": round(float(row.max()), 3),
        }
        for (code, expected), row in zip(PLAIN_CASES.items(), scores, strict=True)
    }


def measure(model: keras.Model) -> dict[str, Any]:
    """Accuracy by name on fresh patches of another seed, and the plain cases."""
    patches, truth = PatchMaker(TEST_SEED).make(TEST_PER_LABEL)
    scores = answers(model, patches)
    table = confusion(truth, scores.argmax(axis=1), len(LABELS))
    top2 = np.mean([t in row for t, row in zip(truth, np.argsort(scores)[:, -2:], strict=True)])
    per_label = table.diagonal() / TEST_PER_LABEL
    return {
        "test": {"seed": TEST_SEED, "patches": len(truth)},
        "accuracy": round(float(per_label.mean()), 4),
        "top_2_accuracy": round(float(top2), 4),
        "per_label": dict(zip(LABELS, per_label.round(3).tolist(), strict=True)),
        "mistakes": mistakes(table),
        "plain_cases": plain_cases(model),
    }


def mistakes(table: np.ndarray) -> dict[str, dict[str, int]]:
    """For each name, the other names it was taken for and how often, most often first."""
    found: dict[str, dict[str, int]] = {}
    for number, row in enumerate(table):
        others = [i for i in np.argsort(-row) if i != number and row[i] > 0]
        found[LABELS[number]] = {LABELS[i]: int(row[i]) for i in others[:4]}
    return found


def show(figures: dict[str, Any]) -> None:
    """Print the table that stands in docs/models/colours.md."""
    print("| colour | accuracy | most often taken for |\n| --- | --- | --- |")
    for label, share in figures["per_label"].items():
        others = ", ".join(f"{name} ({n})" for name, n in figures["mistakes"][label].items())
        print(f"| {label} | {100 * share:.1f} % | {others or 'nothing'} |")
    for code, case in figures["plain_cases"].items():
        print(code, case)
    print("accuracy", figures["accuracy"], "top 2", figures["top_2_accuracy"])


def write(model: keras.Model, figures: dict[str, Any]) -> None:
    """Model, labels and figures to their places."""
    figures["training"] = {
        "seed": TRAIN_SEED,
        "patches": PER_LABEL * len(LABELS),
        "epochs": EPOCHS,
    }
    figures["parameters"] = model.count_params()
    save_figures("colours", save_model("colours", model, LABELS), figures)


def main() -> None:
    """Make patches, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    keras.utils.set_random_seed(TRAIN_SEED)
    patches, truth = PatchMaker(TRAIN_SEED).make(PER_LABEL)
    print(f"{len(patches)} patches made")
    model = build()
    fit(model, patches, truth)
    figures = measure(model)
    show(figures)
    if not options.dry:
        write(model, figures)


if __name__ == "__main__":
    main()
