"""Which loader a model was probably trained with: the preset that decodes and resizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tintype.imaging.steps import KINDS
from tintype.modelfiles.description import InGraphResize, ModelDescription
from tintype.models.recipes.customs import takes_torch
from tintype.models.recipes.scales import (
    CAFFE,
    PLUS_MINUS_ONE,
    RAW,
    TORCH,
    UNIT,
    Scale,
    base_name,
)
from tintype.types import DetectionOutput, Format

_SMALL: Final = 112
"""Shorter sides than this are rarely trained with a centre crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """A preset, what differs from it (geometry, resize, decode), why, and others that would do."""

    preset: str
    because: str
    changes: Mapping[str, object] = field(default_factory=dict)
    others: tuple[tuple[str, str], ...] = ()


_LOAD_IMG: Final = ("keras-load-img", "load_img and ImageDataGenerator resize by nearest pixel")
_LOAD_IMG_BILINEAR: Final = (
    "keras-load-img-bilinear",
    "load_img with interpolation='bilinear' smooths",
)
_DATASET: Final = (
    "keras-image-dataset",
    "image_dataset_from_directory resizes by TensorFlow's bilinear",
)
_TEACHABLE_MACHINE: Final = Loader(
    preset="teachable-machine",
    because="Teachable Machine crops to the centre and resizes by Lanczos",
    others=(("keras-tf", "for pictures that were stretched"),),
)
_KERAS_MODES: Final = {
    PLUS_MINUS_ONE.name: "keras-tf",
    CAFFE.name: "keras-caffe",
    TORCH.name: "keras-torch",
}


def choose_loader(description: ModelDescription, scale: Scale | None) -> Loader:
    """The loader that goes best with the file and with its ``scale`` of values."""
    evidence = description.evidence
    if evidence.resize is not None:
        return _resized_by_graph(evidence.resize, description)
    if evidence.teachable_machine:
        return _TEACHABLE_MACHINE
    if isinstance(description.output, DetectionOutput):
        return _detector(description)
    return _by_framework(description, scale)


def _by_framework(description: ModelDescription, scale: Scale | None) -> Loader:
    evidence = description.evidence
    frozen = description.format is Format.TF_FROZEN_GRAPH and evidence.source is None
    if evidence.encoded_input or evidence.source == "tf1" or frozen:
        return _tf1(scale)
    if description.format is Format.TFLITE:
        return _tflite(description)
    if takes_torch(description):
        return _torchvision(description)
    return _keras(description, scale)


def _resized_by_graph(resize: InGraphResize, description: ModelDescription) -> Loader:
    engine, _, kind = resize.kind.partition(" ")
    if not resize.cut:
        detects = isinstance(description.output, DetectionOutput)
        return Loader(
            preset="tf-od" if detects else "keras-image-dataset",
            because=f"the model resizes pictures itself and gets them whole ({resize.where})",
            changes={} if detects else {"geometry": {"mode": "none"}},
            others=(("raw", "for pictures resized before they go in"),),
        )
    known = engine in {"tf1", "tf2"} and kind in KINDS["tf2"]
    return Loader(
        preset="keras-image-dataset" if engine == "tf2" else "tf1-label-image",
        because=f"the graph itself resized so in training ({resize.where})",
        changes={"resize": {"engine": engine, "kind": kind}} if known else {},
        others=(_LOAD_IMG,),
    )


def _detector(description: ModelDescription) -> Loader:
    free = description.image.height is None or description.image.width is None
    if free and description.format is not Format.TFLITE:
        return Loader(
            preset="tf-od",
            because="detectors of TensorFlow's Object Detection API resize in the graph",
            others=(("raw", "for pictures of a fixed size"),),
        )
    told = description.evidence.normalisation is not None
    return Loader(
        preset="tflite-metadata" if told else "raw",
        because="detectors with a fixed input are fed whole pictures, stretched",
        others=(("keras-image-dataset", "TensorFlow's bilinear does not smooth"),),
    )


def _tf1(scale: Scale | None) -> Loader:
    because = "TensorFlow 1 graphs were trained with its own uncentred bilinear resize"
    others = (("keras-image-dataset", "TensorFlow 2's resize"), ("raw", "a resize that smooths"))
    preset = "tf1-retrain" if scale is UNIT else "tf1-label-image"
    return Loader(preset=preset, because=because, others=others)


def _tflite(description: ModelDescription) -> Loader:
    if description.evidence.backbone == "efficientnetlite":
        because = "EfficientNet-Lite was trained on the centre of pictures"
        return Loader(preset="efficientnet-lite", because=because, others=(("raw", "stretched"),))
    told = description.evidence.normalisation is not None
    return Loader(
        preset="tflite-metadata" if told else "raw",
        because="a resize that smooths is usual for TFLite files",
        others=(_DATASET, _LOAD_IMG),
    )


def _torchvision(description: ModelDescription) -> Loader:
    sides = (description.image.height, description.image.width)
    small = any(side is not None and side < _SMALL for side in sides)
    return Loader(
        preset="torchvision",
        because="models with channels first come from PyTorch, where pictures are smoothed"
        + ("" if small else " and cropped to the centre"),
        changes={"geometry": {"mode": "stretch"}} if small else {},
        others=(("raw", "for pictures stretched whole, not cropped"),),
    )


def _keras(description: ModelDescription, scale: Scale | None) -> Loader:
    """Keras files, SavedModels, and what was converted from them."""
    name = "" if scale is None else base_name(scale.name)
    if scale is RAW and description.evidence.backbone is not None and _no_affine(description):
        chosen, others = ("keras-in-model", _LOAD_IMG[1]), (_DATASET, _LOAD_IMG_BILINEAR)
    elif scale is RAW or (scale is not None and scale.bgr and name == RAW.name):
        chosen, others = _DATASET, (_LOAD_IMG, _LOAD_IMG_BILINEAR)
    elif name in _KERAS_MODES:
        chosen, others = (_KERAS_MODES[name], _LOAD_IMG[1]), (_DATASET, _LOAD_IMG_BILINEAR)
    else:
        chosen, others = _LOAD_IMG, (_DATASET, _LOAD_IMG_BILINEAR)
    return Loader(preset=chosen[0], because=chosen[1], others=others)


def _no_affine(description: ModelDescription) -> bool:
    return description.evidence.affine is None
