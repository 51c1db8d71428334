"""The models and pictures of the benchmark, made once into a folder outside the repository.

python bench/serving/materials.py FOLDER

Needs the development environment: TensorFlow makes the models, and Tintype turns MobileNetV2 into
the ONNX file that the peers' hand-written engines read. Weights are random: they cost what trained
ones cost. Photographs come from TINTYPE_TEST_DATA, saved anew at three sizes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = Path(os.environ.get("TINTYPE_TEST_DATA", ROOT.parent / "shared" / "data"))

PICTURES: Final = {"small": (500, 75), "middle": (1024, 80), "large": (4032, 86)}
"""Longest side in pixels and JPEG quality: about 25 KB, 100 KB and 2 MB of a phone's photograph."""

MODELS: Final = {
    "teachable-machine": "teachable-machine/keras_model.h5",
    "cnn150": "cnn150.h5",
    "mobilenetv2": "mobilenetv2.keras",
    "resnet50": "resnet50.keras",
    "efficientnetb0": "efficientnetb0.keras",
    "colours": "colours",
    "coco-ssd": "coco-ssd/model.tflite",
}
"""Each model's file or folder below the folder of materials."""

_BOUNDARY: Final = "tintype-bench"
CONTENT_TYPES: Final = {
    "raw": "image/jpeg",
    "form": f"multipart/form-data; boundary={_BOUNDARY}",
}
"""How a picture is wrapped, and the content type of that: what each peer's documentation shows."""


def make(folder: Path) -> None:
    """Make what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    _pictures(folder)
    _copies(folder)
    if not (folder / "savedmodel").exists():
        _keras_models(folder)
    onnx = folder / "mobilenetv2.onnx"
    if not onnx.exists():
        tintype = Path(sys.executable).with_name("tintype")
        model = folder / MODELS["mobilenetv2"]
        subprocess.run([tintype, "convert", model, onnx], check=True, capture_output=True)


def body(folder: Path, *, picture: str, wrapped: str) -> Path:
    """The file that holds the whole body of a request."""
    return folder / f"{picture}.{wrapped}"


def _pictures(folder: Path) -> None:
    from PIL import Image, ImageOps  # noqa: PLC0415 - run.py asks for names only

    source = DATA / "images" / "phone-12mp-a.jpg"
    whole = ImageOps.exif_transpose(Image.open(source)).convert("RGB")
    for name, (side, quality) in PICTURES.items():
        if all(body(folder, picture=name, wrapped=each).exists() for each in CONTENT_TYPES):
            continue
        photo = whole.copy()
        photo.thumbnail((side, side), Image.Resampling.LANCZOS)
        raw = body(folder, picture=name, wrapped="raw")
        photo.save(raw, "JPEG", quality=quality)
        data = raw.read_bytes()
        body(folder, picture=name, wrapped="form").write_bytes(_form(data))


def _form(data: bytes) -> bytes:
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _copies(folder: Path) -> None:
    demo = ROOT / "src" / "tintype" / "demo" / "models" / "colours"
    for source in (DATA / "models" / "teachable-machine", DATA / "models" / "coco-ssd", demo):
        if not (folder / source.name).exists():
            shutil.copytree(source, folder / source.name)


def _keras_models(folder: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: PLC0415 - takes long, and only here

    keras.utils.set_random_seed(1)
    _cnn150(keras.layers, keras.Sequential).save(folder / "cnn150.h5")
    applications = keras.applications
    applications.ResNet50(weights=None).save(folder / "resnet50.keras")
    applications.EfficientNetB0(weights=None).save(folder / "efficientnetb0.keras")
    mobilenet = applications.MobileNetV2(weights=None)
    mobilenet.save(folder / "mobilenetv2.keras")
    mobilenet.export(folder / "savedmodel", verbose=False)


def _cnn150(layers: Any, sequential: Any) -> Any:
    """The network of the cats and dogs of old: three convolutions, one sigmoid unit."""
    blocks = [
        each
        for filters in (32, 32, 64)
        for each in (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D())
    ]
    tail = [layers.Flatten(), layers.Dense(64, "relu"), layers.Dropout(0.5)]
    return sequential(
        [layers.Input((150, 150, 3)), *blocks, *tail, layers.Dense(1, activation="sigmoid")]
    )


def main() -> None:
    """Make everything, and say where it lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    make(folder)
    for file in sorted(folder.iterdir()):
        print(file)


if __name__ == "__main__":
    main()
