"""Small files that ask for much: each is refused in words before memory or time is spent.

``bounds`` of ``test_hostile`` is about time; here tracemalloc counts what Python and numpy take.
"""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tintype.errors import ModelFileDamaged, ModelFileTooLarge, UnsafeModel
from tintype.modelfiles.keras.graph import MAX_INVENTED

MIB = 1 << 20
PICTURE = {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 8, 8, 3]}}
FLATTEN = {"class_name": "Flatten", "config": {"name": "flatten"}}
DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2, "use_bias": False}}

Fill = Callable[[h5py.File], None]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A ``.keras`` file of layers one behind the other; ``fill`` puts its weights in."""

    def file(*layers: dict[str, Any], text: str = "", fill: Fill | None = None) -> Path:
        weights = tmp_path / "weights.h5"
        with h5py.File(weights, "w") as root:
            root.create_group("layers")
            if fill is not None:
                fill(root)
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": [*layers]}}
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", text or json.dumps(config))
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
            archive.write(weights, "model.weights.h5")
        return path

    return file


@pytest.fixture
def refuses(describe) -> Callable[..., None]:
    """Reading ends in ModelFileTooLarge, and took no more than ``most`` bytes."""

    def check(path: Path, match: str, *, most: int = 64 * MIB) -> None:
        describe_error = pytest.raises(ModelFileTooLarge, match=match)
        tracemalloc.start()
        try:
            with describe_error:
                describe(path)
            assert most > tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return check


@pytest.mark.parametrize("value", ["[]", '{"a":{}}', "1"])
def test_values_without_end(value, write, refuses) -> None:
    """A text of a few MiB would become gigabytes of lists, dictionaries or numbers."""
    text = '{"class_name": "Sequential", "a": [' + f"{value}," * 2_500_000 + "1]}"
    refuses(write(text=text), "values")


def test_a_name_without_end(write, refuses) -> None:
    """Every operation of a layer carries its name."""
    refuses(write(PICTURE, {**FLATTEN, "config": {"name": "x" * 1001}}), "1001 letters")


def test_masks_without_end(write, refuses) -> None:
    """Each causal attention over 4096 places has a mask of 64 MiB, and no weights."""
    picture = {**PICTURE, "config": {"name": "in", "batch_shape": [None, 64, 64, 1]}}
    rows = {"class_name": "Reshape", "config": {"name": "rows", "target_shape": [4096, 1]}}
    layers = [
        {"class_name": "Attention", "config": {"name": f"a{number}", "causal": True}}
        for number in range(9)
    ]
    names = ["in", "rows", *(f"a{number}" for number in range(9))]
    nodes = [[[[names[0], 0, 0, {}]]]]
    nodes += [[[[name, 0, 0, {}], [name, 0, 0, {}]]] for name in names[1:-1]]
    calls = [
        {**layer, "name": layer["config"]["name"], "inbound_nodes": node}
        for layer, node in zip([rows, *layers], nodes, strict=True)
    ]
    body = {
        "name": "m",
        "layers": [{**picture, "name": "in", "inbound_nodes": []}, *calls],
        "input_layers": [["in", 0, 0]],
        "output_layers": [[names[-1], 0, 0]],
    }
    text = json.dumps({"class_name": "Functional", "config": body})

    refuses(write(text=text), "constants of the graph", most=3 * MAX_INVENTED)


def test_matrices_of_resizing_without_end(write, refuses) -> None:
    """Each bicubic resizing has two matrices of its own."""
    layers = [
        {
            "class_name": "Resizing",
            "config": {
                "name": f"r{side}",
                "height": side,
                "width": side,
                "interpolation": "bicubic",
            },
        }
        for side in range(4000, 4008)
    ]
    refuses(write(PICTURE, *layers), "constants of the graph", most=4 * MAX_INVENTED)


def pack(content: bytes, count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(content) for _ in range(count)), packer.flush()])


def test_a_piece_that_unpacks_to_more_than_it_declares(write, refuses) -> None:
    """HDF5 unpacks a Deflate stream to its end, whatever the piece should hold."""

    def fill(root: h5py.File) -> None:
        weight = root.create_dataset(
            "layers/dense/vars/0", shape=(192, 2), dtype="f4", chunks=(192, 2), compression="gzip"
        )
        weight.id.write_direct_chunk((0, 0), pack(bytes(MIB), 200))

    refuses(write(PICTURE, FLATTEN, DENSE, fill=fill), "unpacks to more")


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf"},
        {"fletcher32": True},
    ],
    ids=str,
)
def test_packed_weights_are_read(how, write, describe, run_openvino) -> None:
    """What h5repack and careful people make of a file."""
    values = np.random.default_rng(1).normal(size=(192, 2)).astype(np.float32)

    def fill(root: h5py.File) -> None:
        root.create_dataset("layers/dense/vars/0", data=values, chunks=(50, 2), **how)

    description = describe(write(PICTURE, FLATTEN, DENSE, fill=fill))
    batch = np.random.default_rng(2).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    expected = batch.reshape(2, -1) @ values
    np.testing.assert_allclose(run_openvino(description, batch), expected, rtol=1e-5, atol=1e-5)


def test_a_damaged_piece(write, describe) -> None:
    """A Deflate stream that is none."""

    def fill(root: h5py.File) -> None:
        weight = root.create_dataset(
            "layers/dense/vars/0", shape=(192, 2), dtype="f4", chunks=(192, 2), compression="gzip"
        )
        weight.id.write_direct_chunk((0, 0), b"no stream at all")

    with pytest.raises(ModelFileDamaged, match="cannot be unpacked"):
        describe(write(PICTURE, FLATTEN, DENSE, fill=fill))


def test_filters_one_on_another(write, describe) -> None:
    """Deflate within Deflate would be unpacked twice."""

    def fill(root: h5py.File) -> None:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((192, 2))
        plan.set_deflate(1)
        plan.set_shuffle()
        space = h5py.h5s.create_simple((192, 2))
        group = root.require_group("layers/dense/vars")
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, plan)

    with pytest.raises(UnsafeModel, match="one on another"):
        describe(write(PICTURE, FLATTEN, DENSE, fill=fill))


def test_many_texts_in_one_place(tmp_path: Path, refuses) -> None:
    """Thousands of names of any length may all point at one text of 5 MB."""
    path = tmp_path / "model.h5"
    layers = [PICTURE, FLATTEN, DENSE]
    length, count = 5_000_000, 3000
    with h5py.File(path, "w") as root:
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
        root.attrs["model_config"] = json.dumps(config)
        root.attrs["keras_version"] = "2.4.0"
        dense = root.create_group("model_weights").create_group("dense")
        dense["dense/kernel:0"] = np.ones((192, 2), np.float32)
        texts = ["Z" * length, *["k"] * count]
        dense.attrs.create("weight_names", texts, dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    first = content.find(struct.pack("<I", length))
    for place in range(first + 16, first + 16 * (count + 1), 16):
        assert struct.pack("<I", 1) == content[place : place + 4]
        content[place : place + 16] = content[first : first + 16]
    path.write_bytes(content)

    refuses(path, "15005000000 bytes")


def test_names_of_any_length_are_read(tmp_path: Path, describe) -> None:
    """As Keras writes them, in a file so large that they are measured first."""
    path = tmp_path / "model.h5"
    flat, units = 192, 3000
    dense = {**DENSE, "config": {**DENSE["config"], "units": units}}
    with h5py.File(path, "w") as root:
        config = {"class_name": "Sequential", "config": {"name": "m", "layers": [PICTURE, FLATTEN]}}
        config["config"]["layers"].append(dense)
        root.attrs["model_config"] = json.dumps(config)
        root.attrs["keras_version"] = "2.4.0"
        group = root.create_group("model_weights").create_group("dense")
        group["dense/kernel:0"] = np.ones((flat, units), np.float32)
        names = ["dense/kernel:0", *(f"dense/other_{number}:0" for number in range(900))]
        group.attrs.create("weight_names", names, dtype=h5py.string_dtype())

    assert (None, units) == describe(path).output.tensor.shape
