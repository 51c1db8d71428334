"""Trains small networks under every usual scale and keeps the numbers of their first layers.

Only photographs of dogs are used, so that statistics made of cats can judge the networks. A
network is a convolution, a batch normalisation (before or behind the ReLU), a second convolution
and a mean over the picture; its task is to tell a photograph from the same one turned by 180
degrees, which needs no second kind of animal.

    python training/first_norm_fixtures.py [--out FOLDER] [--name rgb3-unit]

Reads TINTYPE_TEST_DATA (default ../shared/data). Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image, ImageDraw, ImageFont

import photos

SIZE = 64
BATCH = 32
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)
CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)

SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x/127.5-1": lambda x: x / 127.5 - 1,
    "x/127.5-1 bgr": lambda x: x[..., ::-1] / 127.5 - 1,
    "x/255": lambda x: x / 255,
    "x/255 bgr": lambda x: x[..., ::-1] / 255,
    "x/255-0.5": lambda x: x / 255 - 0.5,
    "torch": lambda x: (x / 255 - TORCH_MEAN) / TORCH_STD,
    "caffe": lambda x: x[..., ::-1] - CAFFE_MEAN,
    "raw": lambda x: x,
    "raw bgr": lambda x: x[..., ::-1],
}
SHORT = {
    "x/127.5-1": "pm1",
    "x/255": "unit",
    "x/255-0.5": "half",
    "torch": "torch",
    "caffe": "caffe",
    "raw": "raw",
    "x/127.5-1 bgr": "pm1bgr",
    "x/255 bgr": "unitbgr",
    "raw bgr": "rawbgr",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One network to train."""

    truth: str
    kernel: int = 3
    stride: int = 1
    channels: int = 16
    rectified: bool = False
    padding: str = "same"
    pictures: str = "plain"
    size: int = SIZE
    steps: int = 320

    @property
    def colours(self) -> int:
        """Channels of the pictures."""
        return 1 if self.pictures in {"grey", "digits"} else 3

    @property
    def name(self) -> str:
        """The file's name."""
        parts = ["grey" if self.colours == 1 else "rgb", str(self.kernel)]
        tail = [SHORT[self.truth]]
        if self.rectified:
            tail.append("relu")
        if self.pictures not in {"plain", "grey"}:
            tail.append(self.pictures)
        if self.steps != 320:
            tail.append(f"{self.steps}steps")
        return "-".join(["".join(parts), *tail])


def plans() -> Iterator[Plan]:
    """Every network, in order."""
    for truth in SHORT:
        yield Plan(truth=truth)
    for truth in ("x/127.5-1", "x/255", "torch", "caffe", "raw"):
        yield Plan(truth=truth, rectified=True)
        yield Plan(truth=truth, kernel=7, stride=2, channels=32)
    for truth in ("x/127.5-1", "x/255"):
        yield Plan(truth=truth, kernel=5, padding="valid", channels=24)
        yield Plan(truth=truth, kernel=5, rectified=True)
    for truth in ("x/127.5-1", "x/255", "raw"):
        yield Plan(truth=truth, pictures="grey", size=48)
        yield Plan(truth=truth, pictures="grey", size=48, kernel=5, rectified=True)
        yield Plan(truth=truth, steps=40)
    for pictures in ("dim", "blurred", "close", "flat", "warm"):
        for truth in ("x/127.5-1", "x/255"):
            yield Plan(truth=truth, pictures=pictures)
    for truth in ("x/127.5-1", "x/255", "torch"):
        yield Plan(truth=truth, pictures="small", size=32)
    for truth in ("x/127.5-1", "x/255", "raw"):
        yield Plan(truth=truth, pictures="digits", size=28)
    yield Plan(truth="x/255", steps=0)


def prepare(pixels: np.ndarray, kind: str) -> np.ndarray:
    """Pictures unlike the plain ones: uint8 in, float32 in 0..255 out."""
    return PICTURES[kind](pixels.astype(np.float32))


def in_grey(x: np.ndarray) -> np.ndarray:
    """Grey pictures of 48 pixels, as face models take them."""
    luma = x @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.rint(_resized(luma[..., None], 48))


def digits(count: int) -> np.ndarray:
    """White digits on black, 28 x 28: pictures that are not natural at all."""
    font = ImageFont.load_default(size=24)
    random = np.random.default_rng(7)
    stack = np.empty((count, 28, 28, 1), np.float32)
    for row in range(count):
        canvas = Image.new("L", (28, 28))
        place = tuple(random.integers(2, 10, 2) - (0, 4))
        ImageDraw.Draw(canvas).text(place, str(random.integers(10)), fill=255, font=font)
        stack[row, :, :, 0] = np.asarray(canvas)
    return stack


def _resized(x: np.ndarray, size: int) -> np.ndarray:
    method = {"interpolation": "bilinear", "antialias": True}
    return np.asarray(keras.ops.image.resize(x, (size, size), **method))


WARM = np.array([1.15, 1.0, 0.7], np.float32)

PICTURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda x: x,
    "dim": lambda x: x * 0.55,
    "flat": lambda x: (x - 117) * 0.6 + 140,
    "warm": lambda x: np.clip(x * WARM, 0, 255),
    "close": lambda x: _resized(x[:, 18:46, 18:46], SIZE),
    "blurred": lambda x: _resized(_resized(x, 20), SIZE),
    "small": lambda x: _resized(x, 32),
    "grey": in_grey,
    "digits": lambda x: digits(len(x)),
}


def network(plan: Plan) -> keras.Model:
    """Convolution, batch normalisation (before or behind the ReLU), and a small rest."""
    norm = layers.BatchNormalization(name="norm")
    relu = layers.ReLU()
    first = layers.Conv2D(
        plan.channels,
        plan.kernel,
        strides=plan.stride,
        padding=plan.padding,
        use_bias=plan.rectified,
        name="convolution",
    )
    second = layers.Conv2D(24, 3, strides=2, padding="same", activation="relu")
    start = layers.Input((plan.size, plan.size, plan.colours))
    stack = [start, first, *((relu, norm) if plan.rectified else (norm, relu))]
    rest = [layers.MaxPooling2D(2), second, layers.GlobalAveragePooling2D()]
    return keras.Sequential([*stack, *rest, layers.Dense(1, activation="sigmoid")])


def train(plan: Plan, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Train one network; its first layers as arrays, with what is known about it."""
    keras.utils.set_random_seed(7)
    model = network(plan)
    x = SCALES[plan.truth](prepare(pixels, plan.pictures)).astype(np.float32)
    x, y = np.concatenate([x, x[:, ::-1, ::-1]]), np.repeat([0, 1], len(x))
    order = np.random.default_rng(7).permutation(len(y))
    chosen = np.resize(order, plan.steps * BATCH)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="binary_crossentropy")
    if plan.steps:
        model.fit(x[chosen], y[chosen], batch_size=BATCH, shuffle=False, verbose=0)
    return {**numbers(model), **facts(plan)}


def numbers(model: keras.Model) -> dict[str, np.ndarray]:
    """Kernel, bias and batch normalisation of a network of `network`."""
    first, norm = model.get_layer("convolution"), model.get_layer("norm")
    arrays = {
        "kernel": first.kernel,
        "mean": norm.moving_mean,
        "variance": norm.moving_variance,
        "gamma": norm.gamma,
        "beta": norm.beta,
    }
    if first.use_bias:
        arrays["bias"] = first.bias
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def facts(plan: Plan) -> dict[str, np.ndarray]:
    """What is known about a network."""
    return {
        "truth": np.array(plan.truth),
        "rectified": np.bool_(plan.rectified),
        "size": np.int32(plan.size),
        "stride": np.int32(plan.stride),
        "padding": np.array(plan.padding),
        "pictures": np.array(plan.pictures),
        "steps": np.int32(plan.steps),
    }


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description="Train networks for first_norm's tests.")
    parser.add_argument("--out", type=Path, default=photos.ROOT / "tests/models/recipes/networks")
    parser.add_argument("--name", help="only this one")
    arguments = parser.parse_args()
    found = photos.find("train", ["dogs"])
    pixels = photos.load(found, SIZE)
    for plan in plans():
        if arguments.name in {None, plan.name}:
            arrays = train(plan, pixels)
            np.savez_compressed(arguments.out / f"{plan.name}.npz", **arrays)
            spread = np.median(arrays["variance"])
            print(f"{plan.name:24} median variance {spread:.4g}", flush=True)


if __name__ == "__main__":
    main()
