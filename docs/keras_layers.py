"""Write docs/reference/keras-layers.md: every public layer of Keras 2 and 3 and how it is read.

Run it from the folder of the repository where keras and tf_keras are installed:
``python docs/keras_layers.py``. A test holds the page to what this writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from tintype.modelfiles.keras.layers.activation import ACTIVATION_NAMES
from tintype.modelfiles.keras.layers.core import IDENTITY_KINDS
from tintype.modelfiles.keras.layers.operations import FUNCTIONS, ROWS
from tintype.modelfiles.keras.layers.refused import why_refused
from tintype.modelfiles.keras.layers.table import LAYER_KINDS
from tintype.modelfiles.keras.layers.third_party import SOURCES

PAGE = Path(__file__).parent / "reference" / "keras-layers.md"

_PARTLY = {
    "Activation": "every activation of Keras by name; no function of the author's",
    "CenterCrop": "pictures of known size",
    "Discretization": "given boundaries, numbers of buckets",
    "Embedding": "mask_zero too",
    "LocallyConnected1D": "implementation 1, channels last",
    "LocallyConnected2D": "implementation 1, channels last",
    "Masking": "recurrent layers and GlobalAveragePooling1D skip what it hides; a mask that "
    "reaches attention, Softmax or ConvLSTM is refused",
    "RandomCrop": "as Keras 2 does it; with Keras 3 only where nothing is cropped",
    "Resizing": "every interpolation; those beyond nearest and bilinear on pictures of known size",
    "SpectralNormalization": "the stored kernel is the normalised one",
    "UpSampling2D": "every interpolation; those beyond nearest and bilinear on known sizes",
    "ThresholdedReLU": "Keras 2 only",
}
_ENTRANCES = frozenset({"Input", "InputLayer"})


def public_layers(layers: ModuleType) -> dict[str, str]:
    """Every public class or function of ``keras.layers`` with the name of its class."""
    names = [name for name in dir(layers) if name[0].isupper()]
    return {name: getattr(getattr(layers, name), "__name__", name) for name in names}


def state_of(kind: str) -> tuple[str, str]:
    """How layers of class ``kind`` are read, in a word, and the reason or what is special."""
    if kind in _ENTRANCES:
        return "reads", "the model's input"
    if kind == "Pipeline":
        return "reads", "its layers, one behind the other"
    if kind in IDENTITY_KINDS:
        return "identity", "does something in training only"
    if kind in LAYER_KINDS:
        return "reads", _PARTLY.get(kind, "")
    reason = why_refused(kind)
    return ("refused", reason) if reason is not None else ("missing", "not written yet")


def page(keras3: Mapping[str, str], keras2: Mapping[str, str]) -> str:
    """The whole page, from the public layers of the two frameworks."""
    names = sorted(set(keras3) | set(keras2))
    kinds = {name: keras3.get(name) or keras2[name] for name in names}
    # GroupQueryAttention is public by that name alone; its class is called otherwise.
    own = [name for name in names if kinds[name] == name or kinds[name] not in names]
    states = {name: state_of("Input" if name == "Input" else kinds[name]) for name in own}
    counts = {
        word: sum(state == word for state, _ in states.values())
        for word in ("reads", "identity", "refused", "missing")
    }
    rows = [
        f"| `{name}` | {_in(name, keras3, keras2)} | {state} | {why} |"
        for name, (state, why) in states.items()
    ]
    aliases = ", ".join(f"`{name}` is `{kinds[name]}`" for name in names if name not in own)
    operations = sorted({name for row in ROWS for name in row.keras.split()})
    third = [f"| `{name}` | {source} |" for name, source in sorted(SOURCES.items())]
    return "\n".join(
        [
            "# Keras layers",
            "",
            "Every public layer of Keras 3 (`keras.layers`) and Keras 2 (`tf_keras.layers`), and",
            "what Tintype does with it in a file. This page is written by `docs/keras_layers.py`",
            "from the layer table; a test compares it with the frameworks.",
            "",
            "- **reads**: computed as Keras computes it, within 1e-5.",
            "- **identity**: Keras does nothing there at inference, and neither does Tintype.",
            "- **refused**: the file is refused, and the message says why.",
            "- **missing**: nobody has written it yet; the file is refused by the layer's name.",
            "",
            _counted(counts),
            "",
            "| Layer | Keras | State | Remark |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"Other names: {aliases}.",
            "",
            "## Activations",
            "",
            "As a setting of a layer or as `Activation`: "
            + ", ".join(f"`{name}`" for name in sorted(ACTIVATION_NAMES))
            + ".",
            "",
            "`hard_sigmoid` is clip(0.2 x + 0.5, 0, 1) in files of Keras 2 and relu6(x + 3) / 6 in",
            "those of Keras 3.",
            "",
            "## Operations between layers",
            "",
            f"{len(operations)} operations of `keras.ops`: "
            + ", ".join(f"`{name}`" for name in operations)
            + ".",
            "",
            f"{len(FUNCTIONS)} TensorFlow functions of files written by Keras 2 (`TFOpLambda`): "
            + ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
            + ".",
            "",
            "Nothing may work along the batch axis: every picture is answered on its own.",
            "",
            "## Layers of other packages",
            "",
            "Read because their name means one formula wherever it stands.",
            "",
            "| Layer | Source |",
            "| --- | --- |",
            *third,
            "",
        ]
    )


def _counted(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['reads']} layers are read, {counts['identity']} do nothing at inference, "
        f"{counts['refused']} are refused, {counts['missing']} are missing."
    )


def _in(name: str, keras3: Mapping[str, str], keras2: Mapping[str, str]) -> str:
    both = [number for number, names in (("2", keras2), ("3", keras3)) if name in names]
    return ", ".join(both)


def main() -> None:
    """Write the page."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: PLC0415 - a reference framework, needed for nothing else
    import tf_keras  # noqa: PLC0415 - see above

    text = page(public_layers(keras.layers), public_layers(tf_keras.layers))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
