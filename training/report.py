"""What a run leaves behind: the model's folder, the figures, and tables for the documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "src" / "tintype" / "demo" / "models"
DOCUMENTS = ROOT / "docs" / "models"


def confusion(truth: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """Rows are the truth, columns the answers."""
    table = np.zeros((count, count), int)
    np.add.at(table, (truth, answers), 1)
    return table


def markdown_table(labels: Sequence[str], table: np.ndarray) -> str:
    """The confusion matrix as a Markdown table."""
    head = ["", *(f"answered {label}" for label in labels)]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for label, row in zip(labels, table, strict=True):
        lines.append(f"| {label} | {' | '.join(map(str, row))} |")
    return "\n".join(lines)


def save_model(name: str, model: keras.Model, labels: Sequence[str]) -> Path:
    """Write model and labels into the demo folder.

    The copy was never compiled, so no optimiser and no loss go into the file.
    """
    folder = MODELS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.keras"
    plain = type(model).from_config(model.get_config())
    plain.set_weights(model.get_weights())
    plain.save(path)
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    return path


def save_figures(name: str, path: Path, figures: dict[str, Any]) -> None:
    """Write the figures the document's tables are made from."""
    content = path.read_bytes()
    whole = {
        "model": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "keras": keras.__version__,
        **figures,
    }
    DOCUMENTS.mkdir(parents=True, exist_ok=True)
    target = DOCUMENTS / f"{name}.json"
    target.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path} ({len(content)} bytes) and {target}")
