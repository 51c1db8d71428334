"""Which Keras wrote a file, and its configuration in the words of today.

Everything that only old versions wrote is put right here, before the configuration is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tintype.errors import UnsupportedModel
from tintype.modelfiles.keras.config import ModelConfig, layers_by_path
from tintype.modelfiles.keras.container import KerasFile
from tintype.modelfiles.keras.graph import show_shape
from tintype.modelfiles.keras.keras1 import is_keras1, layer_entries, named, translate
from tintype.modelfiles.keras.keras2 import has_graph_nodes, nodes_as_json
from tintype.modelfiles.keras.weights import LayerPath
from tintype.types import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A configuration in today's words, and what its writer did differently.

    ``keras1``: kernels lie as Keras 1 wrote them. ``mirrored``: kernels are those of Theano.
    """

    config: dict[str, Any]
    keras1: bool = False
    mirrored: bool = False
    notes: tuple[str, ...] = ()


def dialect_of(file: KerasFile) -> Dialect:
    """Translate the configuration of ``file``.

    Raises UnsupportedModel, UnsafeModel or ModelFileDamaged where that cannot be.
    """
    if file.by_class:
        return Dialect(config=file.config)
    config, notes = file.config, []
    root = "model_weights" if file.weights.group("model_weights") is not None else ""
    config = named(config, file.weights.names(root, "layer_names") or ())
    keras1 = is_keras1(config, file.version)
    if keras1:
        config = translate(config)
        told = f"version {file.version}" if file.version else "told by its settings"
        notes.append(f"written by Keras 1 ({told}); its settings were read as Keras 2 reads them")
    mirrored = file.backend == "theano"
    if mirrored:
        notes.append("written by Keras on Theano: the kernels were mirrored")
    elif keras1 and file.backend is None:
        mirrored = _is_channels_first(config)
        notes.append(_ASSUMED_THEANO if mirrored else _ASSUMED_TENSORFLOW)
    if mirrored and _has_uneven_padding(config):
        notes.append(
            "padding 'same' with strides is worked out as TensorFlow does; Theano pads both sides "
            "alike, so answers may differ a little from those of the old program"
        )
    if has_graph_nodes(config):
        config = nodes_as_json(config)
    return Dialect(config=config, keras1=keras1, mirrored=mirrored, notes=tuple(notes))


_ASSUMED_THEANO = (
    "the file does not say on which backend it was trained; channels lie first ('th'), so Theano "
    "was assumed and the kernels were mirrored"
)
_ASSUMED_TENSORFLOW = (
    "the file does not say on which backend it was trained; channels lie last ('tf'), so "
    "TensorFlow was assumed"
)


def refuse_adapters(file: KerasFile, model: ModelConfig) -> None:
    """Raise UnsupportedModel for low-rank adapters that lie beside the kernels they change.

    The zip form holds the sum of both (keras ``layers/core/dense.py``, save_own_variables); the
    ``.h5`` form holds them apart, so that the kernel alone would answer wrongly.
    """
    if file.by_class:
        return
    for _, layer in layers_by_path(model):
        if layer.settings.raw("lora_rank") is not None:
            raise UnsupportedModel(
                f"layer {layer.name!r} has a low-rank adapter (LoRA), which is not read from .h5",
                hint="save the model with model.save('model.keras'), which joins adapter and "
                "kernel",
            )


def check_declared_shapes(model: ModelConfig, shapes: Mapping[LayerPath, Shape]) -> None:
    """Raise UnsupportedModel where a Deconvolution2D of Keras 1 declares another output.

    Keras 1 was told the output's shape; here it follows from the input's. ``shapes`` are those of
    the outermost layers and of nested ones, by path.
    """
    for path, layer in layers_by_path(model):
        declared, found = layer.settings.raw("output_shape"), shapes.get(path)
        if layer.kind != "Conv2DTranspose" or not isinstance(declared, list) or found is None:
            continue
        if list(found[1:]) != declared[1:]:
            raise UnsupportedModel(
                f"layer {layer.name!r} (Deconvolution2D of Keras 1) declares the output "
                f"{str(declared)[:60]}, but it would be {show_shape(found)}"
            )


def _is_channels_first(config: dict[str, Any]) -> bool:
    return any(body.get("data_format") == "channels_first" for body in _bodies(config))


def _has_uneven_padding(config: dict[str, Any]) -> bool:
    return any(
        body.get("padding") == "same" and set(_numbers(body.get("strides"))) - {1}
        for body in _bodies(config)
    )


def _numbers(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, int)]


def _bodies(config: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = (entry.get("config") for entry in layer_entries(config))
    return [body for body in bodies if isinstance(body, dict)]
