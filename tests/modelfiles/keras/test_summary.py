"""The model summary is the one that Keras prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tintype.modelfiles.description import ModelDescription

Build = Callable[[Any], Any]


def _sequential(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.Dropout(0.5),
            layers.Normalization(),
            layers.Flatten(),
            layers.Dense(5, activation="relu", trainable=False),
            layers.Dense(2),
        ]
    )


def _operations(keras: Any) -> Any:
    picture = keras.Input((16, 16, 3), name="picture")
    x = keras.layers.SeparableConv2D(4, 3)(picture / 255.0 - 1.0)
    return keras.Model(picture, keras.layers.Flatten()(x[:, ::2]))


def _transfer(keras: Any) -> Any:
    base = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35
    )
    base.trainable = False
    picture = keras.Input((32, 32, 3))
    row = keras.layers.GlobalAveragePooling2D()(base(picture, training=False))
    return keras.Model(picture, keras.layers.Dense(3)(row))


def _half_frozen(keras: Any) -> Any:
    model = keras.applications.MobileNet(weights=None, classes=4, input_shape=(32, 32, 3))
    for layer in model.layers[:40]:
        layer.trainable = False
    return model


def _application(name: str, **options: Any) -> Build:
    def build(keras: Any) -> Any:
        maker = getattr(keras.applications, name)
        return maker(weights=None, classes=4, input_shape=(32, 32, 3), **options)

    return build


MODELS: dict[str, Build] = {
    "sequential": _sequential,
    "operations": _operations,
    "transfer": _transfer,
    "half-frozen": _half_frozen,
    "MobileNetV3Small": _application("MobileNetV3Small", minimalistic=True),
    "DenseNet121": _application("DenseNet121"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["keras3.keras", "keras3.h5", "keras2.h5"])
def test_lines_and_totals(
    name, form, request, tmp_path: Path, save, describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, kinds, output shapes, parameters, and how many of them can be trained."""
    monkeypatch.setenv("COLUMNS", "400")  # Keras 3 cuts its table off there
    framework, _, ending = form.partition(".")
    model = MODELS[name](request.getfixturevalue(framework))

    description: ModelDescription = describe(save(model, tmp_path / f"model.{ending}"))

    printed: list[str] = []
    model.summary(line_length=400, print_fn=lambda line, **_: printed.append(line))
    lines, totals = _read("\n".join(printed))
    assert lines == [
        (layer.name, layer.kind, layer.shape, layer.parameters) for layer in description.layers
    ]
    parameters = sum(layer.parameters for layer in description.layers)
    trainable = sum(layer.trainable or 0 for layer in description.layers)
    assert totals == (parameters, trainable, parameters - trainable)


def _read(summary: str) -> tuple[list[tuple[Any, ...]], tuple[int, ...]]:
    """What a printed summary says: a line a layer, then total, trainable and the rest."""
    row = re.compile(r"^[ │]*(\S+) \((\w+)\)[ │]+\[?(\(.*?\))\]?[ │]+([\d,]+)", re.MULTILINE)
    lines = [
        (name, kind, tuple(None if side == "None" else int(side)
                           for side in re.findall(r"None|\d+", shape)), _number(count))
        for name, kind, shape, count in row.findall(summary)
    ]  # fmt: skip
    totals = re.findall(r"(?:Total|Trainable|Non-trainable) params: ([\d,]+)", summary)
    return lines, tuple(_number(total) for total in totals)


def _number(text: str) -> int:
    return int(text.replace(",", ""))
