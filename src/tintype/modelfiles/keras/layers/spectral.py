"""SpectralNormalization: at inference the wrapped layer, whose stored kernel is the normalised one.

Miyato and others, Spectral normalization for generative adversarial networks, 2018. Keras divides
the kernel by its largest singular value in each step of training, and stores what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tintype.errors import ModelFileDamaged, UnsupportedModel
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.settings import Settings
from tintype.modelfiles.keras.weights import Slot


def spectral_layer(kinds: Callable[[], Mapping[str, LayerKind]]) -> LayerKind:
    """The wrapper, over the layers of ``kinds``, which is asked for when the table is whole."""

    def emit(call: LayerCall) -> Value:
        kind, settings = _inner(call.settings)
        if kind not in kinds():
            raise UnsupportedModel(f"layer {call.name!r} wraps a layer {kind!r}, not known here")
        wrapped = replace(call, kind=kind, settings=settings)
        return kinds()[kind].emit(wrapped)

    def slots(settings: Settings) -> tuple[Slot, ...]:
        kind, inner = _inner(settings)
        found = kinds()[kind].slots(inner) if kind in kinds() else ()
        own = Slot("vector_u", trained=False)
        return (*(replace(slot, place="layer") for slot in found), own)

    return LayerKind(emit, slots)


def _inner(settings: Settings) -> tuple[str, Settings]:
    entry = settings.raw("layer")
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    body = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise ModelFileDamaged(f"layer {settings.layer!r} wraps nothing")
    return kind, Settings(settings.layer, body)
