"""Whatever is done to a file's bytes, a description or a ModelFileError comes out.

Seeded and bounded: the same cases on every run.
"""

from __future__ import annotations

import random
import tracemalloc

import pytest

from tintype.errors import ModelFileError
from tintype.modelfiles.open import describe

REAL = ("imagenet-mobilenet-v1-float", "imagenet-mobilenet-v2-quant", "coco-ssd")
ROUNDS = 60


def mangled(content: bytes, seed: int) -> bytes:
    """Cut the content, flip bytes of it, or both, by a seeded choice."""
    chance = random.Random(seed)
    data = bytearray(content)
    if seed % 3 == 0:
        del data[chance.randrange(len(data)) :]
    for _ in range(chance.choice((1, 4, 32)) if seed % 3 else 0):
        # Structure sits at both ends; weights fill the middle.
        span = min(len(data), chance.choice((64, 4096, len(data))))
        place = chance.randrange(span)
        data[place if chance.random() < 0.5 else -1 - place] = chance.randrange(256)
    return bytes(data)


def survives(path, content: bytes) -> bool:
    """Tell whether the bytes were still described; anything but ModelFileError escapes."""
    path.write_bytes(content)
    try:
        describe(path)
    except ModelFileError:
        return False
    return True


@pytest.mark.parametrize("name", REAL)
def test_mangled_real_tflite_files(data_folder, tmp_path, name):
    """Truncations and byte flips of real files raise only ModelFileError."""
    content = (data_folder / "models" / name / "model.tflite").read_bytes()
    outcomes = {survives(tmp_path / "m.tflite", mangled(content, seed)) for seed in range(ROUNDS)}

    assert {True, False} == outcomes


@pytest.mark.parametrize("maker", ["small_tflite", "small_onnx"])
def test_mangled_small_files(request, tmp_path, maker):
    """Small files are nearly all structure: every flip hits something."""
    content = request.getfixturevalue(maker)
    outcomes = {survives(tmp_path / "m", mangled(content, seed)) for seed in range(6 * ROUNDS)}

    assert False in outcomes


def test_mangled_openvino_ir(tmp_path, small_onnx):
    """Flips in the XML of an IR, and in the length of its .bin, raise only ModelFileError."""
    openvino = pytest.importorskip("openvino")
    source = tmp_path / "source.onnx"
    source.write_bytes(small_onnx)
    path = tmp_path / "net.xml"
    openvino.save_model(openvino.Core().read_model(source), path)
    content = path.read_bytes()
    outcomes = {survives(path, mangled(content, seed)) for seed in range(3 * ROUNDS)}

    assert False in outcomes


@pytest.mark.parametrize("maker", ["small_tflite", "small_onnx"])
def test_every_truncation_of_a_small_file(request, tmp_path, maker):
    """A file cut short anywhere is never described as if it were whole, and never crashes."""
    content = request.getfixturevalue(maker)
    step = max(1, len(content) // 150)

    assert not any(
        survives(tmp_path / "m", content[:length]) for length in range(0, len(content) - 16, step)
    )


def test_mangled_files_are_refused_in_bounded_memory(data_folder, tmp_path):
    """No flip makes the reader set aside more than a small multiple of the file."""
    content = (data_folder / "models" / REAL[0] / "model.tflite").read_bytes()
    describe_once = survives(tmp_path / "m.tflite", content)
    tracemalloc.start()
    for seed in range(20):
        survives(tmp_path / "m.tflite", mangled(content, seed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert describe_once
    assert peak < 20 * len(content)
