"""Which weight in the file belongs to which layer. Nothing is read here but names and shapes.

HDF5 (keras ``legacy/saving/legacy_h5_format.py``): a group a layer of the outermost model, with
``weight_names`` in the order of ``layer.weights``: of a nested model first all that can be
trained, then the rest. Zip (keras ``saving/saving_lib.py``): a group a layer, named by its class
in snake case and counted in the order of the layers, numbers in ``vars/0``, ``vars/1``...
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.config import LayerConfig, ModelConfig
from tintype.modelfiles.keras.container import KerasFile
from tintype.modelfiles.keras.hdf5 import Hdf5Reader, Stored
from tintype.modelfiles.keras.names import snake_case

LayerPath: TypeAlias = tuple[str, ...]
"""The names of the nested models down to a layer, and the layer's own."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A weight a layer has: its name in Keras, and whether training changes it.

    ``place`` is the group of the zip form in which it lies, where a layer keeps its weights in
    parts. Where parts have weights of one name, the part stands before it: ``query/kernel``.
    """

    name: str
    trained: bool = True
    place: str = ""


WeightMap: TypeAlias = Mapping[LayerPath, Mapping[str, Stored]]
"""For each layer its weights by their Keras names."""

SlotsOf: TypeAlias = Callable[[LayerConfig], tuple[Slot, ...]]
"""Tells the weights of a layer, in Keras' order."""

_NEEDLESS = frozenset({"count", "StateVar", "seed_generator_state", "rng_state"})
"""State of adaption and of random numbers: no inference needs it."""

_NAMELESS = frozenset({"Variable", "variable"})
"""What TensorFlow and Keras 3 call a weight that its author gave no name."""

_SLOTS_OF_KERAS_1 = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "W_carry": "carry_kernel",
    "b_carry": "carry_bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # a variance in truth
    "alphas": "alpha",
}
_OF_KERAS_1 = re.compile(
    r".+?_(W|U|b|W_carry|b_carry|gamma|beta|running_mean|running_std|alphas|depthwise_kernel"
    r"|pointwise_kernel)"
)
"""Keras 1 named weights after their layer, without a slash: ``convolution2d_1_W``."""
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Classes that go by another name in public: the zip form has the class' own."""

_OTHER_NAMES = {"depthwise_kernel": "kernel"}
"""What Keras 3 calls a weight of Keras 2."""

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_layers", "_pipeline_layers")
"""What the group of a model's layers is called: today, in the first months of the format, and in
a Pipeline."""


def find_weights(file: KerasFile, model: ModelConfig, slots_of: SlotsOf) -> WeightMap:
    """The weights of every layer of ``model``. Layers of which the file has none are left out.

    Raises ModelFileDamaged where the weights of a nested model do not fit its layers.
    """
    if file.by_class:
        found: dict[LayerPath, Mapping[str, Stored]] = {}
        _collect_by_class(file.weights, model, _Place((), ""), slots_of, found)
        return found
    return _by_name(file.weights, model, slots_of)


@dataclass(frozen=True, slots=True)
class _Place:
    path: LayerPath
    group: str


def _collect_by_class(
    reader: Hdf5Reader,
    model: ModelConfig,
    place: _Place,
    slots_of: SlotsOf,
    found: dict[LayerPath, Mapping[str, Stored]],
) -> None:
    container = _container(reader, place.group)
    used: Counter[str] = Counter()
    for layer in model.layers:
        if layer.kind.startswith("op:") or (layer.kind == "InputLayer" and not layer.calls):
            continue
        base = snake_case(_CLASSES.get(layer.kind, layer.kind))
        group = f"{container}/{base}_{used[base]}" if used[base] else f"{container}/{base}"
        used[base] += 1
        path = (*place.path, layer.name)
        _collect_layer(reader, layer, _Place(path, group), slots_of, found)


def _collect_layer(
    reader: Hdf5Reader,
    layer: LayerConfig,
    place: _Place,
    slots_of: SlotsOf,
    found: dict[LayerPath, Mapping[str, Stored]],
) -> None:
    if layer.inner is not None:
        _collect_by_class(reader, layer.inner, place, slots_of, found)
        return
    for key, part in layer.parts.items():
        inside = _Place((*place.path, part.name), f"{place.group}/{key}")
        _collect_layer(reader, part, inside, slots_of, found)
    counts: Counter[str] = Counter()
    here: dict[str, Stored] = {}
    for slot in slots_of(layer):
        stored = _in_zip(reader, place.group, slot.place, counts[slot.place])
        counts[slot.place] += 1
        if stored is not None:
            here[slot.name] = stored
    found[place.path] = here


def _in_zip(reader: Hdf5Reader, group: str, part: str, number: int) -> Stored | None:
    if not part:
        return reader.weight(f"{group}/vars/{number}")
    # The name of the attribute, private in some versions: query_dense, _query_dense.
    for name in (part, f"_{part}"):
        stored = reader.weight(f"{group}/{name}/vars/{number}")
        if stored is not None:
            return stored
    return None


def _container(reader: Hdf5Reader, group: str) -> str:
    for name in _CONTAINERS:
        candidate = f"{group}/{name}" if group else name
        if reader.group(candidate) is not None:
            return candidate
    return f"{group}/layers" if group else "layers"


def _by_name(reader: Hdf5Reader, model: ModelConfig, slots_of: SlotsOf) -> WeightMap:
    root = "model_weights" if reader.group("model_weights") is not None else ""
    found: dict[LayerPath, Mapping[str, Stored]] = {}
    for layer in model.layers:
        group = f"{root}/{layer.name}" if root else layer.name
        names = reader.names(group, "weight_names") or ()
        names = tuple(name for name in names if base_name(name) not in _NEEDLESS)
        if not names:
            continue
        if layer.inner is None and not layer.parts:
            chosen = _leaf_names(names, slots_of(layer))
            found[(layer.name,)] = _stored(reader, group, chosen)
        else:
            expected = _in_keras_order(layer, (), trained=True, slots_of=slots_of)
            for path, leaf in _nested_names(names, expected, layer.name).items():
                found[path] = _stored(reader, group, leaf)
    return found


def _stored(reader: Hdf5Reader, group: str, names: Mapping[str, str]) -> dict[str, Stored]:
    pairs = {slot: reader.weight(f"{group}/{name}") for slot, name in names.items()}
    return {slot: weight for slot, weight in pairs.items() if weight is not None}


def _leaf_names(names: tuple[str, ...], slots: tuple[Slot, ...]) -> dict[str, str]:
    by_base = {base_name(name): name for name in names}
    by_base |= {f"{name.split('/')[-2]}/{base_name(name)}": name for name in names if "/" in name}
    if all(slot.name in by_base for slot in slots):
        return {slot.name: by_base[slot.name] for slot in slots}
    # Another naming (the layer was renamed after it was built, say): Keras goes by order alone.
    return {slot.name: name for slot, name in zip(slots, names, strict=False)}


@dataclass(frozen=True, slots=True)
class _Expected:
    path: LayerPath
    slot: str
    trained: bool


def _in_keras_order(
    layer: LayerConfig, path: LayerPath, *, trained: bool, slots_of: SlotsOf
) -> list[_Expected]:
    """The weights below a nested model: what can be trained first, frozen layers among the rest."""
    flat = _flat(layer, path, trained=trained, slots_of=slots_of)
    return [item for item in flat if item.trained] + [item for item in flat if not item.trained]


def _flat(
    layer: LayerConfig, path: LayerPath, *, trained: bool, slots_of: SlotsOf
) -> list[_Expected]:
    here = (*path, layer.name)
    trained = trained and layer.trainable
    slots = [] if layer.inner is not None else slots_of(layer)
    own = [_Expected(here, slot.name, trained and slot.trained) for slot in slots]
    children = layer.inner.layers if layer.inner is not None else tuple(layer.parts.values())
    return own + [
        item
        for child in children
        for item in _flat(child, here, trained=trained, slots_of=slots_of)
    ]


def _nested_names(
    names: tuple[str, ...], expected: list[_Expected], model: str
) -> dict[LayerPath, dict[str, str]]:
    found: dict[LayerPath, dict[str, str]] = defaultdict(dict)
    in_order = len(names) == len(expected) and all(
        base_name(name) in {base_name(item.slot), *_NAMELESS, _OTHER_NAMES.get(item.slot)}
        for name, item in zip(names, expected, strict=True)
    )
    if in_order:
        for name, item in zip(names, expected, strict=True):
            found[item.path][item.slot] = name
        return found
    index = _by_layer_name(names)
    for item in expected:
        candidates = index.get(_last_two(item), [])
        if len(candidates) != 1:
            raise ModelFileDamaged(
                f"the nested model {model!r} has {len(names)} weights in the file, but its layers "
                f"have {len(expected)}; no single one is {item.path[-1]}/{item.slot}"
            )
        found[item.path][item.slot] = candidates[0]
    return found


def _last_two(item: _Expected) -> tuple[str, str]:
    part, _, base = item.slot.rpartition("/")
    return part or item.path[-1], base


def _by_layer_name(names: tuple[str, ...]) -> dict[tuple[str, str], list[str]]:
    index: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        parts = name.split("/")
        if len(parts) > 1:
            index[(parts[-2], base_name(name))].append(name)
    return index


def base_name(name: str) -> str:
    """``conv/kernel_1:0`` is ``kernel``: TensorFlow adds numbers to names that are taken."""
    last = name.rpartition("/")[2].partition(":")[0]
    old = _OF_KERAS_1.fullmatch(last) if "/" not in name else None
    if old is not None:
        return _SLOTS_OF_KERAS_1.get(old[1], old[1])
    return re.sub(r"_\d+$", "", last)
