"""What growth is measured with beside ``materials.py``: made once into the same folder."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from materials import DATA, MODELS, ROOT, Body
from PIL import Image, ImageOps


def picture(folder: Path, *, megapixels: float) -> Body:
    """A phone's photograph, made smaller to about so many pixels."""
    file = folder / f"growth-{megapixels:g}.jpg"
    if not file.exists():
        photo = ImageOps.exif_transpose(Image.open(DATA / "images" / "phone-12mp-a.jpg"))
        scale = math.sqrt(min(1.0, megapixels * 1e6 / (photo.width * photo.height)))
        size = (round(photo.width * scale), round(photo.height * scale))
        small = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.save(file, "JPEG", quality=86)
    return Body(file=file, content_type="image/jpeg")


def copies(folder: Path, *, count: int) -> Path:
    """A folder with so many copies of MobileNetV2, each a model of its own: ``copy-000`` and on."""
    many = folder / f"copies-{count}"
    for number in range(count):
        file = many / f"copy-{number:03}" / "model.keras"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / MODELS["mobilenetv2"], file)
    return many


def record(folder: Path, *, rows: int) -> Path:
    """A record of so many predictions. A fill that is broken off goes on the next time."""
    file = folder / f"record-{rows}.db"
    if not file.exists():
        part = file.with_suffix(".part")
        script = ROOT / "bench" / "million_predictions.py"
        words = [sys.executable, script, "--predictions", str(rows), "--keep", part]
        subprocess.run(words, check=True, capture_output=True, timeout=1200)
        part.rename(file)
    return file


@contextmanager
def recorded(folder: Path, *, rows: int) -> Iterator[str]:
    """The address of a copy of that record: what a load adds to it is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        copy = Path(scratch) / "record.db"
        shutil.copyfile(record(folder, rows=rows), copy)
        yield f"sqlite:///{copy.resolve()}"
