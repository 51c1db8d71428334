"""The small residual network behind `cats-dogs`.

Ordinary layers only. Three stages of plain residual blocks (He et al. 2015), then one of
separable convolutions (Chollet 2016), which keep the file small where channels are many.
Raw values 0..255 go in; one sigmoid unit comes out.
"""

from __future__ import annotations

import keras
from keras import layers

PLAIN_STAGES = (32, 64, 128)
LAST_CHANNELS = 256
DROPOUT = 0.3


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.97, name=name)(x)


def _convolution(
    x: keras.KerasTensor, channels: int, stride: int, name: str, *, separable: bool
) -> keras.KerasTensor:
    kind = layers.SeparableConv2D if separable else layers.Conv2D
    x = kind(
        channels, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_convolution"
    )(x)
    return _norm(x, f"{name}_norm")


def _block(
    x: keras.KerasTensor, channels: int, stride: int, name: str, *, separable: bool = False
) -> keras.KerasTensor:
    """Two convolutions beside a shortcut."""
    shortcut = x
    if stride > 1 or x.shape[-1] != channels:
        if stride > 1:
            shortcut = layers.AveragePooling2D(2, padding="same", name=f"{name}_pool")(shortcut)
        shortcut = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_shortcut")(shortcut)
        shortcut = _norm(shortcut, f"{name}_shortcut_norm")
    x = _convolution(x, channels, stride, f"{name}_a", separable=separable)
    x = layers.ReLU(name=f"{name}_a_relu")(x)
    x = _convolution(x, channels, 1, f"{name}_b", separable=separable)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)


def build(size: int) -> keras.Model:
    """The network for pictures of `size` x `size`; its weights fit any size."""
    picture = keras.Input((size, size, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(picture)
    x = _convolution(x, PLAIN_STAGES[0], 2, "stem", separable=False)
    x = layers.ReLU(name="stem_relu")(x)
    for number, channels in enumerate(PLAIN_STAGES, start=1):
        x = _block(x, channels, 1 if number == 1 else 2, f"stage{number}_1")
    x = _block(x, LAST_CHANNELS, 2, "stage4_1", separable=True)
    x = _block(x, LAST_CHANNELS, 1, "stage4_2", separable=True)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(DROPOUT, name="dropout")(x)
    dog = layers.Dense(1, activation="sigmoid", dtype="float32", name="dog")(x)
    return keras.Model(picture, dog, name="cats_dogs")
