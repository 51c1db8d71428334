"""Real traffic for the pictures of the dashboard: photographs sent to the demo and judged.

The photographs are those that the bundled model of cats and dogs was validated on, and some it
was trained on; TINTYPE_TEST_DATA says where they lie. The later ones are darkened, so that there
is drift to see; and times are spread over some weeks, so that there are weeks to see.
"""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageEnhance

DATA = Path(os.environ.get("TINTYPE_TEST_DATA", "../shared/data")) / "cats-dogs"
TRAINED = 300
"""Photographs of each label that the model was trained on, beside all of the others."""
DARK_FROM = 0.6
JUDGED = 0.6
WEEKS = 8
WEEK_MS = 7 * 86_400_000
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Photograph:
    """A file and its label."""

    file: Path
    label: str


def send(base_url: str) -> None:
    """Send every photograph; say the right label of some."""
    photographs = [*_photographs()]
    chance = random.Random(4)  # noqa: S311 - an order, no secret
    chance.shuffle(photographs)
    judged = [chance.random() < JUDGED for _ in photographs]

    def one(number: int) -> None:
        photograph = photographs[number]
        image = photograph.file.read_bytes()
        if number > DARK_FROM * len(photographs):
            image = _darkened(image)
        told = _ask(f"{base_url}/api/predict?model=cats-dogs", image, method="POST")
        if judged[number]:
            said = json.dumps({"label": photograph.label}).encode()
            _ask(f"{base_url}/api/predictions/{told['id']}/feedback", said, method="PUT")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(one, range(len(photographs))))


def spread(database: Path) -> None:
    """Give what is recorded times over the last weeks, in the order in which it came."""
    now = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        ids = connection.execute("SELECT id FROM predictions ORDER BY at_ms").fetchall()
        for number, (name,) in enumerate(ids):
            at_ms = now - int(WEEKS * WEEK_MS * (1 - (number + 1) / len(ids)))
            for statement in (
                "UPDATE predictions SET at_ms = ? WHERE id = ?",
                "UPDATE results SET at_ms = ? WHERE prediction_id = ?",
                "UPDATE feedback SET predicted_ms = ? WHERE prediction_id = ?",
            ):
                connection.execute(statement, (at_ms, name))


def _photographs() -> Iterator[Photograph]:
    for label in ("cat", "dog"):
        trained = sorted((DATA / "train" / f"{label}s").iterdir())[:TRAINED]
        for file in [*trained, *sorted((DATA / "validation" / f"{label}s").iterdir())]:
            yield Photograph(file, label)


def _darkened(image: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(image)) as picture:
        ImageEnhance.Brightness(picture.convert("RGB")).enhance(0.45).save(out, "JPEG")
    return out.getvalue()


def _ask(url: str, body: bytes, *, method: str) -> dict[str, str]:
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - see above
        told: dict[str, str] = json.load(answer)
    return told
