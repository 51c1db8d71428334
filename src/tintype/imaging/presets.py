"""The ways pictures were prepared in training, by name. ``docs/reference`` is made from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tintype.imaging.steps import Decode, Geometry, Mode, Op, Recipe, Resize, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One sentence on a preset, and the file or page that it was read from."""

    text: str
    source: str


_TF: Final = Decode(dct="ifast", grey="tf")
_PIL: Final = Decode(dct="islow", grey="pillow")
_PIL_NEAREST: Final = Resize(engine="pillow", kind="nearest")
_PIL_BILINEAR: Final = Resize(engine="pillow", kind="bilinear")
_TF1_BILINEAR: Final = Resize(engine="tf1", kind="bilinear")


def _keras(preset: str, op: Op) -> Recipe:
    """``load_img`` as it usually is (nearest), then ``preprocess_input`` of that mode."""
    return Recipe(preset=preset, decode=_PIL, resize=_PIL_NEAREST, values=Values(op=op))


def _dataset(preset: str, mode: Mode, op: Op = "none") -> Recipe:
    """``image_dataset_from_directory``: TensorFlow's decode and bilinear resize, not rounded."""
    return Recipe(preset=preset, decode=_TF, geometry=Geometry(mode=mode), values=Values(op=op))


_RECIPES: Final = (
    Recipe(preset="keras-load-img", decode=_PIL, resize=_PIL_NEAREST),
    Recipe(preset="keras-load-img-bilinear", decode=_PIL, resize=_PIL_BILINEAR),
    _dataset("keras-image-dataset", "stretch"),
    _dataset("keras-image-dataset-crop", "crop_to_aspect"),
    _dataset("keras-image-dataset-pad", "pad"),
    _keras("keras-tf", "x/127.5-1"),
    _keras("keras-caffe", "caffe"),
    _keras("keras-torch", "torch"),
    _keras("keras-in-model", "none"),
    Recipe(
        preset="tf1-retrain",
        decode=_TF,
        resize=_TF1_BILINEAR,
        values=Values(op="x*(1/255)", before_resize=True),
    ),
    Recipe(
        preset="tf1-label-image",
        decode=_TF,
        resize=_TF1_BILINEAR,
        values=Values(op="mean-std", mean=(0.0,), std=(255.0,)),
    ),
    _dataset("tfhub", "stretch", "x*(1/255)"),
    Recipe(
        preset="teachable-machine",
        decode=_PIL,
        geometry=Geometry(mode="cover_crop"),
        resize=Resize(engine="pillow", kind="lanczos"),
        values=Values(op="x/127.5-1"),
    ),
    Recipe(
        preset="torchvision",
        decode=_PIL,
        geometry=Geometry(mode="short_side_crop"),
        resize=_PIL_BILINEAR,
        values=Values(op="torch"),
    ),
    Recipe(
        preset="tflite-metadata",
        decode=_PIL,
        resize=_PIL_BILINEAR,
        values=Values(op="mean-std", mean=(127.5,), std=(127.5,)),
    ),
    Recipe(preset="tf-od", decode=_TF, geometry=Geometry(mode="none"), resize=Resize()),
    Recipe(preset="raw", decode=_PIL, resize=_PIL_BILINEAR),
    Recipe(
        preset="custom-vision",
        decode=_PIL,
        geometry=Geometry(mode="short_side_crop", short_side=256),
        resize=Resize(engine="tf2", kind="bilinear", round=True),
        values=Values(op="none", order="BGR"),
    ),
    Recipe(preset="imresize-2018", decode=_PIL, resize=_PIL_BILINEAR, values=Values(op="x/255")),
    Recipe(
        preset="onnx-zoo",
        decode=_PIL,
        geometry=Geometry(mode="short_side_crop"),
        resize=_PIL_BILINEAR,
        values=Values(op="torch"),
    ),
    Recipe(
        preset="efficientnet-lite",
        decode=_PIL,
        geometry=Geometry(mode="short_side_crop"),
        resize=Resize(engine="tf2", kind="bilinear", round=True),
        values=Values(op="mean-std", mean=(127.0,), std=(128.0,)),
    ),
)

PRESETS: Final[Mapping[str, Recipe]] = MappingProxyType({r.preset: r for r in _RECIPES})
"""Every preset by name."""

_UTILS: Final = "keras src/utils/image_utils.py"
_DATASET: Final = "keras src/utils/image_dataset_utils.py"
_MODES: Final = "keras src/applications/imagenet_utils.py, preprocess_input"

ABOUT: Final[Mapping[str, About]] = MappingProxyType(
    {
        "keras-load-img": About(
            text="load_img with its default, Pillow's nearest; levels 0..255.", source=_UTILS
        ),
        "keras-load-img-bilinear": About(
            text="load_img(interpolation='bilinear'), also the default of Keras 2.0.9.",
            source=_UTILS,
        ),
        "keras-image-dataset": About(
            text="image_dataset_from_directory: TensorFlow's decode and bilinear, 0..255.",
            source=_DATASET,
        ),
        "keras-image-dataset-crop": About(
            text="The same with crop_to_aspect_ratio=True.", source=_DATASET
        ),
        "keras-image-dataset-pad": About(
            text="The same with pad_to_aspect_ratio=True.", source=_DATASET
        ),
        "keras-tf": About(
            text="load_img, then preprocess_input in mode 'tf': x/127.5-1 (MobileNet, Inception).",
            source=_MODES,
        ),
        "keras-caffe": About(
            text="load_img, then mode 'caffe': BGR minus means (VGG, ResNet50).", source=_MODES
        ),
        "keras-torch": About(
            text="load_img, then mode 'torch': ImageNet mean and std (DenseNet).", source=_MODES
        ),
        "keras-in-model": About(
            text="load_img and nothing more: the model itself scales (EfficientNet, MobileNetV3).",
            source=_MODES,
        ),
        "tf1-retrain": About(
            text="TF1's retrain.py: 0..1 before the resize, TF1's asymmetric bilinear.",
            source="tensorflow/hub examples/image_retraining/retrain.py",
        ),
        "tf1-label-image": About(
            text="TF1's label_image.py: asymmetric bilinear, then (x-mean)/std, 0 and 255 unless "
            "told otherwise.",
            source="tensorflow tensorflow/examples/label_image/label_image.py",
        ),
        "tfhub": About(
            text="TF-Hub's common image input: TensorFlow's decode and bilinear, RGB 0..1.",
            source="TensorFlow Hub, common signatures for images",
        ),
        "teachable-machine": About(
            text="Teachable Machine's Keras export: centre square, Lanczos, x/127.5-1.",
            source="googlecreativelab/teachablemachine-community snippets/markdown/image/keras",
        ),
        "torchvision": About(
            text="torchvision's weights: short side 256, centre 224, ImageNet mean and std.",
            source="torchvision transforms/_presets.py, ImageClassification",
        ),
        "tflite-metadata": About(
            text="Mean and std from the TFLite file's metadata; Pillow's bilinear.",
            source="tflite-support metadata_schema.fbs, NormalizationOptions",
        ),
        "tf-od": About(
            text="TF Object Detection API: levels 0..255 at the picture's own size.",
            source="tensorflow/models research/object_detection/exporter_lib_v2.py",
        ),
        "raw": About(
            text="Levels 0..255 with Pillow's bilinear and nothing more.", source="Pillow"
        ),
        "custom-vision": About(
            text="Azure Custom Vision's export: centre crop, BGR 0..255; within one level of its "
            "OpenCV resize.",
            source="Azure Custom Vision, Export to TensorFlow (Python sample)",
        ),
        "imresize-2018": About(
            text="scipy.misc.imresize (Pillow's bilinear) on levels, then x/255.",
            source="scipy 1.2 misc/pilutil.py",
        ),
        "onnx-zoo": About(
            text="ONNX Model Zoo's classifiers: short side 256, centre 224, mean and std.",
            source="onnx/models validated/vision/classification/imagenet_preprocess.py",
        ),
        "efficientnet-lite": About(
            text="EfficientNet-Lite: centre of 87.5 %, (x-127)/128; within one level of its "
            "OpenCV resize.",
            source="onnx/models validated/vision/classification/efficientnet-lite4",
        ),
    }
)
"""What each preset is, for people."""
