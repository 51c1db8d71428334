"""The models and pictures of the benchmark, made once into a folder outside the repository.

python bench/serving/materials.py FOLDER

Needs the development environment: TensorFlow makes the models, and Tintype turns MobileNetV2 into
the ONNX file that the peers' hand-written engines read. Weights are random: they cost what trained
ones cost. Photographs come from TINTYPE_TEST_DATA, saved anew at three sizes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = Path(os.environ.get("TINTYPE_TEST_DATA", ROOT.parent / "shared" / "data"))

PICTURES: Final = {"small": (500, 75), "middle": (1024, 72), "large": (4032, 86)}
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
_V2_HEAD: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What is posted: a file that holds the whole body, its content type, other headers."""

    file: Path
    content_type: str
    headers: tuple[str, ...] = ()


WRAPPINGS: Final = {
    "raw": "image/jpeg",
    "form": f"multipart/form-data; boundary={_BOUNDARY}",
    "json": "application/json",
    "v2-json": "application/json",
    "v2-binary": "application/octet-stream",
}
"""How a picture travels, as each server's documentation shows, with the content type of that."""


def make(folder: Path) -> None:
    """Make what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [body(folder, picture=p, wrapped=w).file for p in PICTURES for w in WRAPPINGS]
    if not all(each.exists() for each in wanted):
        _pictures(folder)
    _copies(folder)
    if not (folder / "savedmodel").exists():
        _keras_models(folder)
    onnx = folder / "mobilenetv2.onnx"
    if not onnx.exists():
        tintype = Path(sys.executable).with_name("tintype")
        model = folder / MODELS["mobilenetv2"]
        subprocess.run([tintype, "convert", model, onnx], check=True, capture_output=True)


def body(folder: Path, *, picture: str, wrapped: str) -> Body:
    """A request with that picture, wrapped as a server wants it."""
    binary = wrapped == "v2-binary"
    return Body(
        file=folder / f"{picture}.{wrapped}",
        content_type=WRAPPINGS[wrapped],
        headers=(f"inference-header-content-length: {_V2_HEAD}",) if binary else (),
    )


def _pictures(folder: Path) -> None:
    from PIL import Image, ImageOps  # noqa: PLC0415 - run.py asks for names only

    source = DATA / "images" / "phone-12mp-a.jpg"
    whole = ImageOps.exif_transpose(Image.open(source)).convert("RGB")
    for name, (side, quality) in PICTURES.items():
        raw = body(folder, picture=name, wrapped="raw").file
        if not raw.exists():
            photo = whole.copy()
            photo.thumbnail((side, side), Image.Resampling.LANCZOS)
            photo.save(raw, "JPEG", quality=quality)
        data = raw.read_bytes()
        for wrapped, wrap in (
            ("form", _form),
            ("json", _json),
            ("v2-json", _v2_json),
            ("v2-binary", _v2_binary),
        ):
            body(folder, picture=name, wrapped=wrapped).file.write_bytes(wrap(data))


def _form(data: bytes) -> bytes:
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _json(data: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(data).decode()}).encode()


def _v2_json(data: bytes) -> bytes:
    """The Open Inference Protocol's request with a picture in base64."""
    tensor = {
        "name": "image",
        "shape": [1],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(data).decode()],
    }
    return json.dumps({"inputs": [tensor]}).encode()


def _v2_binary(data: bytes) -> bytes:
    """The same in Triton's binary extension: a JSON head, then each value with its length."""
    tensor = {
        "name": "image",
        "shape": [1, 1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": 4 + len(data)},
    }
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "labels"}]})
    return head.ljust(_V2_HEAD).encode() + struct.pack("<I", len(data)) + data


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
