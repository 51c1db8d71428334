"""Every kind of layer over generated settings, against the framework that wrote the file.

One entry a layer: how it is made, and the shape of what it is given. ``draw`` picks the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

Make = Callable[[Any, Callable[[Any], Any]], Any]

SERIES, PICTURE, VOLUME = (9, 4), (7, 6, 4), (5, 4, 6, 4)
ROW = (12,)

_flag = st.booleans()
_padding = st.sampled_from(["valid", "same"])


def _of(*items: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(items)


def _sizes(axes: int, low: int = 1, high: int = 3) -> st.SearchStrategy[Any]:
    return st.one_of(st.integers(low, high), st.tuples(*[st.integers(low, high)] * axes))


@dataclass(frozen=True)
class Case:
    """A layer with settings to be drawn. ``frameworks`` names those that have it."""

    make: Make
    shape: tuple[int, ...] = PICTURE
    frameworks: tuple[str, ...] = ("keras2", "keras3")
    low: float = -1
    high: float = 1


def _strides(draw: Any, axes: int) -> dict[str, Any]:
    """Keras allows strides or dilations, never both."""
    if draw(_flag):
        return {"strides": draw(st.integers(1, 3))}
    return {"dilation_rate": draw(st.integers(1, 2) if axes > 1 else st.integers(1, 3))}


def _conv(kind: str, axes: int) -> Make:
    def make(k: Any, draw: Any) -> Any:
        paddings = ("valid", "same", "causal") if axes == 1 else ("valid", "same")
        return getattr(k, kind)(
            4,
            draw(_sizes(axes)),
            padding=draw(_of(*paddings)),
            groups=draw(_of(1, 2, 4)),
            use_bias=draw(_flag),
            activation=draw(_of(None, "relu", "swish")),
            **_strides(draw, axes),
        )

    return make


def _transposed(kind: str, axes: int) -> Make:
    def make(k: Any, draw: Any) -> Any:
        stride = draw(st.integers(1, 3))
        more = {"strides": stride}
        if stride > 1 and draw(_flag):
            more["output_padding"] = draw(st.integers(0, stride - 1))
        return getattr(k, kind)(
            3, draw(_sizes(axes, 1, 4)), padding=draw(_padding), use_bias=draw(_flag), **more
        )

    return make


def _depthwise(kind: str, axes: int) -> Make:
    def make(k: Any, draw: Any) -> Any:
        return getattr(k, kind)(
            draw(st.integers(1, 3)),
            padding=draw(_padding),
            depth_multiplier=draw(st.integers(1, 2)),
            use_bias=draw(_flag),
            **_strides(draw, axes),
        )

    return make


def _separable(kind: str, axes: int) -> Make:
    def make(k: Any, draw: Any) -> Any:
        return getattr(k, kind)(
            5,
            draw(st.integers(1, 3)),
            padding=draw(_padding),
            depth_multiplier=draw(st.integers(1, 2)),
            activation=draw(_of(None, "tanh")),
            **_strides(draw, axes),
        )

    return make


def _pool(kind: str, axes: int) -> Make:
    def make(k: Any, draw: Any) -> Any:
        return getattr(k, kind)(
            draw(_sizes(axes)), strides=draw(_of(None, 1, 2)), padding=draw(_padding)
        )

    return make


def _global(kind: str) -> Make:
    return lambda k, draw: getattr(k, kind)(keepdims=draw(_flag))


def _margins(kind: str, key: str, axes: int) -> Make:
    pairs = st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 2))] * axes)
    one = st.tuples(st.integers(0, 1), st.integers(0, 2))
    numbers = st.one_of(st.integers(0, 1), one if axes == 1 else pairs)
    return lambda k, draw: getattr(k, kind)(**{key: draw(numbers)})


def _upsampling(k: Any, draw: Any) -> Any:
    kinds = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    return k.UpSampling2D(draw(_sizes(2)), interpolation=draw(_of(*kinds)))


def _resizing(kinds: tuple[str, ...], *more: str) -> Make:
    def make(k: Any, draw: Any) -> Any:
        flags = {name: True for name in more if draw(_flag)}
        if len(flags) > 1 and "antialias" not in flags:
            flags = {}
        if {"crop_to_aspect_ratio", "pad_to_aspect_ratio"} <= flags.keys():
            del flags["pad_to_aspect_ratio"]
        sides = st.integers(2, 11)
        return k.Resizing(draw(sides), draw(sides), interpolation=draw(_of(*kinds)), **flags)

    return make


def _random(kind: str, *args: Any, **kwargs: Any) -> Make:
    return lambda k, _draw: getattr(k, kind)(*args, **kwargs)


_K3 = ("keras3",)
_K2 = ("keras2",)
_RESIZE_2 = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "gaussian", "mitchellcubic")
_RESIZE_3 = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


def _dense(k: Any, draw: Any) -> Any:
    return k.Dense(draw(st.integers(1, 5)), use_bias=draw(_flag))


CONVOLUTIONS = {
    "Conv1D": Case(_conv("Conv1D", 1), SERIES),
    "Conv2D": Case(_conv("Conv2D", 2)),
    "Conv1DTranspose": Case(_transposed("Conv1DTranspose", 1), SERIES),
    "Conv2DTranspose": Case(_transposed("Conv2DTranspose", 2)),
    "Conv3DTranspose": Case(_transposed("Conv3DTranspose", 3), (3, 2, 3, 4)),
    "DepthwiseConv1D": Case(_depthwise("DepthwiseConv1D", 1), SERIES),
    "DepthwiseConv2D": Case(_depthwise("DepthwiseConv2D", 2)),
    "SeparableConv1D": Case(_separable("SeparableConv1D", 1), SERIES),
    "SeparableConv2D": Case(_separable("SeparableConv2D", 2)),
    "Conv3D": Case(
        lambda k, d: k.Conv3D(3, d(_sizes(3, 1, 2)), padding=d(_padding), strides=d(_of(1, 2))),
        VOLUME,
    ),
    "LocallyConnected1D": Case(
        lambda k, d: k.LocallyConnected1D(3, d(_of(1, 3)), strides=d(_of(1, 2))), SERIES, _K2
    ),
    "LocallyConnected2D": Case(
        lambda k, d: k.LocallyConnected2D(
            3, d(_sizes(2)), strides=d(_of(1, 2)), use_bias=d(_flag), activation="relu"
        ),
        PICTURE,
        _K2,
    ),
    "Dense": Case(_dense),
    "Dense-of-rows": Case(_dense, ROW),
    "Dense-of-series": Case(_dense, SERIES),
    "Dense-of-volumes": Case(_dense, VOLUME),
}

POOLING = {
    **{
        f"{kind}Pooling{axes}D": Case(_pool(f"{kind}Pooling{axes}D", axes), shape)
        for kind in ("Max", "Average")
        for axes, shape in ((1, SERIES), (2, PICTURE), (3, VOLUME))
    },
    **{
        f"Global{kind}Pooling{axes}D": Case(_global(f"Global{kind}Pooling{axes}D"), shape)
        for kind in ("Max", "Average")
        for axes, shape in ((1, SERIES), (2, PICTURE), (3, VOLUME))
    },
    **{
        f"Adaptive{kind}Pooling{axes}D": Case(
            lambda k, d, name=f"Adaptive{kind}Pooling{axes}D", axes=axes: getattr(k, name)(
                d(_sizes(axes, 2, 4))  # at 1 TensorFlow itself ends with a signal
            ),
            shape,
            _K3,
        )
        for kind in ("Max", "Average")
        for axes, shape in ((1, SERIES), (2, PICTURE), (3, VOLUME))
    },
}

_axis = _of(-1, 1, 2, 3)
_axes = _of(-1, 1, [1, 2], [2, 3], [1, 2, 3], [-1, 1])

NORMALISATION = {
    "BatchNormalization": Case(
        lambda k, d: k.BatchNormalization(
            axis=d(_axis), scale=d(_flag), center=d(_flag), epsilon=d(_of(1e-3, 1e-5))
        )
    ),
    "BatchNormalization-of-volumes": Case(
        lambda k, d: k.BatchNormalization(axis=d(_of(-1, 1, 4))), VOLUME
    ),
    "BatchNormalization-of-series": Case(
        lambda k, d: k.BatchNormalization(axis=d(_of(-1, 1))), SERIES
    ),
    "SyncBatchNormalization": Case(
        lambda k, d: k.BatchNormalization(synchronized=True, scale=d(_flag)), PICTURE, _K3
    ),
    "LayerNormalization": Case(
        lambda k, d: k.LayerNormalization(axis=d(_axes), scale=d(_flag), center=d(_flag))
    ),
    "LayerNormalization-of-volumes": Case(
        lambda k, d: k.LayerNormalization(axis=d(_of(-1, [1, 4], [2, 3]))), VOLUME
    ),
    "GroupNormalization": Case(
        lambda k, d: k.GroupNormalization(
            groups=d(_of(1, 2, 4, -1)), scale=d(_flag), center=d(_flag), epsilon=d(_of(1e-3, 1e-5))
        )
    ),
    "GroupNormalization-axis": Case(
        lambda k, d: k.GroupNormalization(groups=d(_of(1, 2, 3)), axis=2)
    ),
    "GroupNormalization-of-series": Case(
        lambda k, d: k.GroupNormalization(groups=d(_of(1, 2))), SERIES
    ),
    "RMSNormalization": Case(
        lambda k, d: k.RMSNormalization(axis=d(_of(-1, [2, 3], [1, 2, 3]))), PICTURE, _K3
    ),
    "UnitNormalization": Case(lambda k, d: k.UnitNormalization(axis=d(_axes))),
    "SpectralNormalization": Case(
        lambda k, d: k.SpectralNormalization(
            k.Conv2D(3, 2, padding="same", activation="relu") if d(_flag) else k.Dense(4)
        ),
        PICTURE,
        _K3,  # that of tf_keras 2.21 cannot be built beside Keras 3
    ),
    "Normalization": Case(
        lambda k, d: k.Normalization(
            mean=[0.1, 0.2, -0.3, 0.4], variance=[1.0, 2.0, 0.5, 0.1], invert=d(_flag)
        )
    ),
    "Normalization-of-rows": Case(
        lambda k, d: k.Normalization(
            axis=d(_of(2, (2,))), mean=np.arange(6) / 9, variance=np.arange(1, 7), invert=d(_flag)
        )
    ),
}

ACTIVATIONS = {
    "ReLU": Case(
        lambda k, d: k.ReLU(
            max_value=d(_of(None, 0.5)), negative_slope=d(_of(0, 0.2)), threshold=d(_of(0, 0.1))
        )
    ),
    "LeakyReLU": Case(lambda k, d: k.LeakyReLU(d(_of(0.05, 0.3)))),
    "ELU": Case(lambda k, d: k.ELU(d(_of(0.5, 1.0)))),
    "PReLU": Case(lambda k, d: k.PReLU(shared_axes=d(_of(None, [1, 2], [3], [1])))),
    "Softmax": Case(lambda k, d: k.Softmax(axis=d(_of(-1, 1, 2)))),
    "ThresholdedReLU": Case(lambda k, d: k.ThresholdedReLU(d(_of(0.1, 0.5))), PICTURE, _K2),
    "Activation": Case(
        lambda k, d: k.Activation(
            d(_of("relu", "sigmoid", "hard_sigmoid", "gelu", "mish", "swish", "softsign"))
        ),
        low=-3,
        high=3,
    ),
    "Activation-of-keras-3": Case(
        lambda k, d: k.Activation(
            d(
                _of(
                    "celu", "glu", "hard_shrink", "hard_silu", "hard_tanh", "log_sigmoid",
                    "log_softmax", "relu6", "soft_shrink", "sparse_plus", "sparse_sigmoid",
                    "sparsemax", "squareplus", "tanh_shrink", "hard_swish", "leaky_relu",
                )
            )
        ),
        PICTURE,
        _K3,
        low=-3,
        high=3,
    ),
    "Activation-as-layer": Case(
        lambda k, d: k.Conv2D(
            3, 1, activation=(k.LeakyReLU(0.1), k.ELU(0.5), k.ReLU(0.3))[d(st.integers(0, 2))]
        )
    ),
}  # fmt: skip

MOVING = {
    **{
        f"{kind}{axes}D": Case(_margins(f"{kind}{axes}D", key, axes), shape)
        for kind, key in (("ZeroPadding", "padding"), ("Cropping", "cropping"))
        for axes, shape in ((1, SERIES), (2, PICTURE), (3, VOLUME))
    },
    "UpSampling1D": Case(lambda k, d: k.UpSampling1D(d(st.integers(1, 3))), SERIES),
    "UpSampling2D": Case(_upsampling),
    "UpSampling3D": Case(lambda k, d: k.UpSampling3D(d(_sizes(3, 1, 2))), VOLUME),
    "Reshape": Case(lambda k, d: k.Reshape(d(_of((-1,), (4, 42), (6, -1, 4), (2, 3, 7, 4))))),
    "Permute": Case(lambda k, d: k.Permute(d(st.permutations([1, 2, 3])))),
    "Permute-of-volumes": Case(lambda k, d: k.Permute(d(st.permutations([1, 2, 3, 4]))), VOLUME),
    "RepeatVector": Case(lambda k, d: k.RepeatVector(d(st.integers(1, 3))), ROW),
    "Flatten": Case(lambda k, _d: k.Flatten(), VOLUME),
}

_FIRST = {"data_format": "channels_first"}

CHANNELS_FIRST = {
    "Flatten-first": Case(lambda k, _d: k.Flatten(**_FIRST), (4, 7, 6)),
    "ZeroPadding2D-first": Case(lambda k, d: k.ZeroPadding2D(d(_sizes(2)), **_FIRST), (4, 7, 6)),
    "Cropping2D-first": Case(lambda k, d: k.Cropping2D(d(_sizes(2, 1, 2)), **_FIRST), (4, 7, 6)),
    "Cropping3D-first": Case(lambda k, _d: k.Cropping3D(1, **_FIRST), (4, 5, 4, 3)),
    "UpSampling2D-first": Case(lambda k, d: k.UpSampling2D(d(_sizes(2)), **_FIRST), (4, 7, 6)),
    "UpSampling3D-first": Case(lambda k, _d: k.UpSampling3D(2, **_FIRST), (4, 2, 3, 2)),
    **{
        f"Global{kind}Pooling2D-first": Case(
            lambda k, d, name=f"Global{kind}Pooling2D": getattr(k, name)(
                keepdims=d(_flag), **_FIRST
            ),
            (4, 7, 6),
        )
        for kind in ("Max", "Average")
    },
    **{
        f"Adaptive{kind}Pooling2D-first": Case(
            lambda k, d, name=f"Adaptive{kind}Pooling2D": getattr(k, name)(
                d(_sizes(2, 2, 4)), **_FIRST
            ),
            (4, 7, 6),
            _K3,
        )
        for kind in ("Max", "Average")
    },
    "Resizing-first": Case(
        lambda k, d: k.Resizing(5, 9, interpolation=d(_of("bilinear", "bicubic")), **_FIRST),
        (4, 7, 6),
        _K3,
    ),
    "CenterCrop-first": Case(lambda k, _d: k.CenterCrop(5, 3, **_FIRST), (4, 7, 6), _K3),
    "PReLU-of-rows": Case(lambda k, _d: k.PReLU(), ROW),
}

PICTURES = {
    "Resizing-of-keras-2": Case(_resizing(_RESIZE_2, "crop_to_aspect_ratio"), PICTURE, _K2),
    "Resizing-of-keras-3": Case(
        _resizing(_RESIZE_3, "crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"),
        PICTURE,
        _K3,
    ),
    "CenterCrop": Case(lambda k, d: k.CenterCrop(d(st.integers(2, 9)), d(st.integers(2, 9)))),
    "Rescaling": Case(
        lambda k, d: k.Rescaling(d(_of(2.0, [1.0, 2.0, 0.5, 3.0])), offset=d(_of(0.0, -1.0)))
    ),
    "Discretization": Case(
        lambda k, d: k.Discretization(d(_of([0.0], [-0.5, 0.1, 0.7]))),
    ),
    "AutoContrast": Case(
        lambda k, d: k.AutoContrast(value_range=d(_of((-1.0, 1.0), (0, 255)))), PICTURE, _K3, low=0
    ),
    "RandomCrop": Case(_random("RandomCrop", 7, 6)),
    "RandomCrop-of-keras-2": Case(_random("RandomCrop", 4, 5), PICTURE, _K2),
}

_TRAINING_ONLY: dict[str, Make] = {
    "ActivityRegularization": _random("ActivityRegularization", l1=0.1),
    "AlphaDropout": _random("AlphaDropout", 0.5),
    "Dropout": _random("Dropout", 0.5),
    "GaussianDropout": _random("GaussianDropout", 0.5),
    "GaussianNoise": _random("GaussianNoise", 0.5),
    "SpatialDropout2D": _random("SpatialDropout2D", 0.5),
    "RandomBrightness": _random("RandomBrightness", 0.5),
    "RandomContrast": _random("RandomContrast", 0.5),
    "RandomFlip": _random("RandomFlip"),
    "RandomRotation": _random("RandomRotation", 0.5),
    "RandomTranslation": _random("RandomTranslation", 0.2, 0.2),
    "RandomZoom": _random("RandomZoom", 0.5),
}

_TRAINING_ONLY_3: dict[str, Make] = {
    "AugMix": _random("AugMix", (0, 1)),
    "CutMix": _random("CutMix"),
    "Identity": _random("Identity"),
    "MaxNumBoundingBoxes": _random("MaxNumBoundingBoxes", 4),
    "MixUp": _random("MixUp"),
    "RandAugment": _random("RandAugment", (0, 1)),
    "RandomColorDegeneration": _random("RandomColorDegeneration", 0.5),
    "RandomColorJitter": _random("RandomColorJitter", (0, 1), 0.5, 0.5, 0.5, 0.5),
    "RandomElasticTransform": _random("RandomElasticTransform"),
    "RandomErasing": _random("RandomErasing"),
    "RandomGaussianBlur": _random("RandomGaussianBlur"),
    "RandomGrayscale": _random("RandomGrayscale"),
    "RandomHue": _random("RandomHue", 0.5, (0, 1)),
    "RandomInvert": _random("RandomInvert"),
    "RandomPerspective": _random("RandomPerspective"),
    "RandomPosterization": _random("RandomPosterization", 4),
    "RandomSaturation": _random("RandomSaturation", 0.5, (0, 1)),
    "RandomSharpness": _random("RandomSharpness", 0.5, (0, 1)),
    "RandomShear": _random("RandomShear", 0.5, 0.5),
    "Solarization": _random("Solarization", 0.5),
}

_TRAINING_ONLY_2: dict[str, Make] = {
    "RandomHeight": _random("RandomHeight", 0.5),
    "RandomWidth": _random("RandomWidth", 0.5),
}

IDENTITIES = {
    **{name: Case(make, (5, 4, 3), low=0) for name, make in _TRAINING_ONLY.items()},
    **{name: Case(make, (5, 4, 3), _K3, low=0) for name, make in _TRAINING_ONLY_3.items()},
    **{name: Case(make, (5, 4, 3), _K2, low=0) for name, make in _TRAINING_ONLY_2.items()},
    "SpatialDropout1D": Case(_random("SpatialDropout1D", 0.5), SERIES),
    "SpatialDropout3D": Case(_random("SpatialDropout3D", 0.5), VOLUME),
}

CASES = {
    **CONVOLUTIONS,
    **POOLING,
    **NORMALISATION,
    **ACTIVATIONS,
    **MOVING,
    **CHANNELS_FIRST,
    **PICTURES,
    **IDENTITIES,
}


@pytest.mark.parametrize(
    ("name", "framework"),
    [(name, framework) for name, case in CASES.items() for framework in case.frameworks],
)
def test_layer(name, framework, request, prove) -> None:
    """A layer read from a file answers as the layer itself, whatever its settings."""
    case = CASES[name]
    keras = request.getfixturevalue(framework)
    ending = ".h5" if framework == "keras2" else ".keras"
    prove(keras, ending, case.make, case.shape, low=case.low, high=case.high)
