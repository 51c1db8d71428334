"""Hostile files, made by hypothesis: no hang, no flood of memory, no exception but our own.

``TINTYPE_FUZZ_EXAMPLES`` says how many of each kind; ``make keras-fuzz`` tries many thousands.
"""

from __future__ import annotations

import copy
import io
import json
import os
import resource
import signal
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from tintype.errors import ModelFileError
from tintype.modelfiles.keras.read import UNFORESEEN

hypothesis = pytest.importorskip("hypothesis")
h5py = pytest.importorskip("h5py")
st = hypothesis.strategies

EXAMPLES = int(os.environ.get("TINTYPE_FUZZ_EXAMPLES", "80"))
SECONDS = 2.0
MEMORY = 512 << 20
"""64 MiB of weights may be declared by any small file, and each is held a few times over."""

fuzzed = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,  # a hang is told by the alarm below
    derandomize=EXAMPLES <= 80,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

ODD: list[Any] = [
    None, -1, 0, 1, 2, 7, 0.5, -0.0, 1e30, 1e-45, True, False, "", "x", "same", "valid", "relu", [],
    {}, [None], [1, 2], [[1, 2], [3, 4]], [0] * 100, "\ud800", "a" * 5000, float("nan"),
    float("inf"),
    1 << 15, 1 << 20, 1 << 24, 1 << 27, (1 << 31) - 1, 1 << 40, 1 << 80, -(1 << 62),
    [1 << 15, 1 << 15], [1 << 27, 1], {"config": 3}, {"value": None}, {"class_name": "__tuple__"},
    {"class_name": "__tuple__", "items": [1 << 20, 3]}, {"class_name": "__numpy__", "config": {}},
    {"class_name": "Conv2D", "config": {}}, {"class_name": "ReLU", "config": {"max_value": []}},
    "Conv2D", "Dense", "Flatten", "Sequential", "Functional", "Reshape", "Resizing", "UpSampling2D",
    "ZeroPadding2D", "Normalization", "Concatenate", "InputLayer", "channels_first", "bicubic",
    ["input_layer", 0, 0], ["conv", 0, 1 << 30], "softmax", "float16", "uint8", "int8", "bfloat16",
]  # fmt: skip


class Hang(BaseException):
    """No Exception, so that nothing that catches those can hide it."""


@contextmanager
def bounds() -> Iterator[None]:
    """Fail after SECONDS of computing (a busy machine is no hang), or above MEMORY."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    tracemalloc.start(1)
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY
        # What libraries written in C hold too; Linux counts KiB.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < MEMORY >> 10
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        tracemalloc.stop()


@pytest.fixture(scope="module")
def small_model() -> Callable[[Any], Any]:
    """A model of many kinds of layers, one of them nested and called twice."""

    def build(keras: Any) -> Any:
        layers = keras.layers
        part = keras.Input((6, 5, 4))
        tower = keras.Model(
            part, layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(part))
        )
        picture = keras.Input((13, 11, 3))
        x = layers.Rescaling([1.0, 2.0, 3.0])(layers.Resizing(12, 10)(picture))
        x = layers.ZeroPadding2D(((1, 0), (2, 1)))(x / 2.0)
        x = layers.SeparableConv2D(4, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.Cropping2D(((0, 1), (1, 1)))(x)
        x = layers.Reshape((6, 5, 4))(x)
        x = layers.Add()([tower(x), tower(tower(x))])
        x = layers.LayerNormalization()(layers.DepthwiseConv2D(3)(x))
        x = layers.UpSampling2D(2)(layers.PReLU(shared_axes=[1, 2])(x))
        x = layers.AveragePooling2D(2, padding="same")(layers.Conv2DTranspose(3, 2)(x))
        y = layers.Flatten()(layers.Permute((2, 1, 3))(x))
        z = layers.GlobalAveragePooling2D()(layers.Multiply()([x, x]))
        return keras.Model(picture, layers.Dense(2, activation="softmax")(
            layers.Concatenate()([y, layers.BatchNormalization()(z)])))  # fmt: skip

    return build


class Files(dict[str, bytes]):
    """Hypothesis writes arguments out where it fails; these are long."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


@pytest.fixture(scope="module")
def files(small_model, keras3, keras2, save, tmp_path_factory) -> Files:
    """The same model in every container, of both generations."""
    folder = tmp_path_factory.mktemp("hostile")
    frameworks = {"3": keras3, "2": keras2}
    return Files(
        (f"{number}{ending}", save(small_model(keras), folder / f"{number}{ending}").read_bytes())
        for number, keras in frameworks.items()
        for ending in (".keras", ".h5")
    )


NAMES = ("3.keras", "3.h5", "2.keras", "2.h5")


@pytest.fixture
def holds(describe, tmp_path: Path) -> Callable[..., bool]:
    """Read bytes within bounds; tells whether they were read."""

    def check(name: str, content: bytes, *, forbid: str = "") -> bool:
        path = tmp_path / f"file{Path(name).suffix}"
        path.write_bytes(content)
        with bounds():
            try:
                describe(path)
            except ModelFileError as error:
                assert not forbid or forbid not in error.message  # noqa: PT017 - some do not raise
                return False
        return True

    return check


@pytest.mark.parametrize("name", NAMES)
def test_the_untouched_file_is_read(name: str, files, holds) -> None:
    """What the mutations begin with is sound."""
    assert holds(name, files[name])


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value below ``value``."""
    if place:
        yield place
    if not isinstance(value, dict | list):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from places_in(item, (*place, key))


def config_of(name: str, content: bytes) -> Any:
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(io.BytesIO(content)) as file:
        return json.loads(file.attrs["model_config"])


def with_config(name: str, content: bytes, config: Any) -> bytes:
    text = json.dumps(config)
    out = io.BytesIO()
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
            for member in old.namelist():
                new.writestr(member, text if member == "config.json" else old.read(member))
        return out.getvalue()
    out.write(content)
    with h5py.File(out, "r+") as file:
        file.attrs.modify("model_config", text.encode("utf-8"))
    return out.getvalue()


ACTIONS = ("odd", "delete", "double", "copy", "swap", "nest")
changes = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1 << 30), st.integers(0, 1 << 30)),
    min_size=1,
    max_size=4,
)


def changed(config: Any, action: str, first: int, second: int) -> None:
    """One mutation of ``config``, in place."""
    places = list(places_in(config))
    if not places:  # everything was deleted
        return
    place, other = places[first % len(places)], places[second % len(places)]
    holder, key = at(config, place[:-1]), place[-1]
    if action == "odd":
        holder[key] = copy.deepcopy(ODD[second % len(ODD)])
    elif action == "delete":
        del holder[key]
    elif action == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif action == "nest":
        for _ in range(second % 60):
            holder[key] = [holder[key]] if second % 2 else {"config": holder[key]}
    elif action == "copy":
        holder[key] = copy.deepcopy(at(config, other))
    elif action == "swap" and place != other[: len(place)] and other != place[: len(other)]:
        target = at(config, other[:-1])
        holder[key], target[other[-1]] = target[other[-1]], holder[key]


def at(config: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        config = config[key]
    return config


@fuzzed
@hypothesis.given(name=st.sampled_from(NAMES), mutations=changes)
def test_configurations(files, holds, name: str, mutations) -> None:
    """Values of other kinds and sizes, parts gone, doubled, moved, nested."""
    config = config_of(name, files[name])
    for mutation in mutations:
        changed(config, *mutation)
    holds(name, with_config(name, files[name], config), forbid=UNFORESEEN)


@fuzzed
@hypothesis.given(
    name=st.sampled_from(NAMES),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=40),
    ends=st.booleans(),
    cut=st.floats(0, 1),
)
def test_bytes(files, holds, name: str, flips, ends, cut: float) -> None:
    """Flipped anywhere, or in the structure at both ends; cut short or not."""
    content = bytearray(files[name])
    for place, value in flips:
        span = min(len(content), 4096) if ends else len(content)
        at_end = ends and value % 2
        content[-1 - int(place * (span - 1)) if at_end else int(place * (span - 1))] = value
    if cut < 0.2:
        del content[int(cut * 5 * len(content)) :]
    holds(name, bytes(content))


def weight_names(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems(lambda path, item: found.append(path) if hasattr(item, "shape") else None)
    return sorted(found)


def replaced(file: Any, path: str, kind: int) -> None:
    """Another thing in the place of a weight."""
    shape, dtype = file[path].shape, file[path].dtype
    if file[path].size > 1 << 16:  # a vast one already
        return
    del file[path]
    many = (1 << 40,) if kind % 2 else (1 << 20, 1 << 12)
    match kind // 2 % 9:
        case 0:
            file.create_dataset(path, many, "f4", chunks=(64,) * len(many))
        case 1:
            file.create_dataset(path, (1 << 24,), "f4", chunks=(1 << 20,), compression="gzip")
        case 2:
            file.create_dataset(path, data=np.zeros(shape, "S4"))
        case 3:
            file.create_dataset(path, data=["x"] * 3, dtype=h5py.string_dtype())
        case 4:
            file[path] = h5py.SoftLink("/somewhere")
        case 5:
            file[path] = h5py.ExternalLink("/etc/passwd", "/")
        case 6:
            file.create_group(path)
        case 7:
            file.create_dataset(path, data=np.full(shape, np.nan, "f8"))
        case _:
            nothing = "" if dtype.kind == "O" else 0  # texts, where a change before put them
            file.create_dataset(path, data=np.full((*shape, 2), nothing, dtype), dtype=dtype)


@fuzzed
@hypothesis.given(
    name=st.sampled_from(("3.h5", "2.h5", "3.keras")),
    places=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 17)), min_size=1, max_size=3),
)
def test_weights(files, holds, name: str, places) -> None:
    """Vast, packed, texts, links, groups, other shapes in the place of weights."""
    member = "model.weights.h5"
    content = files[name]
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {each: archive.read(each) for each in archive.namelist()}
        content = parts[member]
    inside = io.BytesIO()
    inside.write(content)
    with h5py.File(inside, "r+") as file:
        for number, kind in places:
            names = weight_names(file)
            if not names:
                continue
            replaced(file, names[number % len(names)], kind)
    whole = inside.getvalue()
    if name.endswith(".keras"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for each, part in {**parts, member: whole}.items():
                archive.writestr(each, part)
        whole = out.getvalue()
    holds(name, whole)


def test_models_within_models_end_somewhere(files, holds) -> None:
    """A nested model called eight times, in one called eight times, and so on: 8^13 calls."""
    config = config_of("3.keras", files["3.keras"])
    layers = config["config"]["layers"]
    place = next(n for n, layer in enumerate(layers) if layer["class_name"] == "Functional")
    calls, name = layers[place]["inbound_nodes"], layers[place]["name"]
    tower = layers[place]
    for _ in range(12):
        outer = copy.deepcopy(tower)
        picture = outer["config"]["layers"][0]
        tower["name"] = tower["config"]["name"] = "again"
        tower["inbound_nodes"] = [
            {"args": [_tensor(picture["name"])], "kwargs": {}},
            *({"args": [_tensor("again", number)], "kwargs": {}} for number in range(7)),
        ]
        outer["config"]["layers"] = [picture, tower]
        outer["config"]["output_layers"] = ["again", 7, 0]
        tower = outer
    tower["name"] = tower["config"]["name"] = name
    tower["inbound_nodes"] = calls
    layers[place] = tower
    assert not holds("3.keras", with_config("3.keras", files["3.keras"], config))


def _tensor(layer: str, node: int = 0) -> dict[str, Any]:
    history = [layer, node, 0]
    return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}
