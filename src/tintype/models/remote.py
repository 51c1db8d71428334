"""What a model on another server is: its signature, read as a file would be.

The remote is asked twice: for its signatures, and, where they do not tell what the numbers of a
classifier are, for the answer to a few pictures of noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tintype.engines.tensors import sample_rows
from tintype.engines.tfserving.client import Client, connect
from tintype.errors import ModelFileError, NotAnImageModel, RemoteFailed
from tintype.imaging.encoded import png, row_of
from tintype.modelfiles.class_output import (
    SCORE_DTYPES,
    count_classes,
    no_class_output,
)
from tintype.modelfiles.description import Evidence, InGraphResize, ModelDescription, ReadOptions
from tintype.modelfiles.detection_output import detection_by_names
from tintype.modelfiles.image_input import InputHints, choose_image_input, named_spec
from tintype.types import (
    Activation,
    ClassOutput,
    DetectionOutput,
    Format,
    Graph,
    ImageInput,
    Output,
    RankedOutput,
    RemoteModel,
    Shape,
    Tensor,
    TensorSpec,
    tensors_of,
)
from tintype.wire.tensorflow_serving import End, ServedSignature

_DEFAULT = "serving_default"
_PROBES = 4
_TELLING = ("prob", "softmax", "score", "predict")
_NOT_ASKED = ("tensorflow/serving/classify", "tensorflow/serving/regress")
"""Methods whose input is a serialised tf.Example, not a picture."""


def describe_remote(remote: RemoteModel, *, card: Path, options: ReadOptions) -> ModelDescription:
    """Ask the server what the model is.

    Raises ServingError when it cannot be asked, ModelFileError for a signature, input or output
    that is not there, NotAnImageModel, SettingsError.
    """
    client = connect(remote)
    try:
        signatures = client.signatures(timeout=remote.timeout_seconds)
        name = _choose(signatures, asked=options.signature)
        asked = replace(remote, signature=name)
        return _described(asked, signatures[name], card=card, options=options)
    finally:
        client.close()


def _choose(signatures: Mapping[str, ServedSignature], *, asked: str | None) -> str:
    """The signature asked for, the default, or the only one."""
    usable = [
        name
        for name, signature in signatures.items()
        if signature.inputs and signature.outputs and not name.startswith("__saved_model")
    ]
    known = ", ".join(sorted(usable)) or "none"
    if asked is not None:
        if asked not in usable:
            raise ModelFileError(
                f"the remote model has no signature {asked!r}; it has: {known}",
                hint="name one of them: signature under [read] in the card, or --signature",
            )
        return asked
    pictures = [name for name in usable if signatures[name].method not in _NOT_ASKED]
    if _DEFAULT in pictures:
        return _DEFAULT
    if len(pictures) == 1:
        return pictures[0]
    raise NotAnImageModel(
        f"no signature of the remote model is the one to take; it has: {known}",
        hint="name one: signature under [read] in the card, or --signature",
    )


def _described(
    remote: RemoteModel, signature: ServedSignature, *, card: Path, options: ReadOptions
) -> ModelDescription:
    image, note = _image(signature.inputs, wanted=options.input)
    output = _output(remote, signature.outputs, image, wanted=options.output)
    return ModelDescription(
        path=card,
        format=Format.TF_SERVING,
        writer=None,
        image=image,
        output=output,
        graph=Graph(
            format=Format.TF_SERVING,
            source=card,
            input=image.tensor,
            outputs=tensors_of(output),
            remote=remote,
        ),
        evidence=_evidence(image),
        notes=tuple(text for text in (f"the signature is {remote.signature!r}", note) if text),
    )


def _image(inputs: Mapping[str, End], *, wanted: str | None) -> tuple[ImageInput, str | None]:
    """The input that takes pictures. TensorFlow Serving wants every input of a signature."""
    if len(inputs) > 1:
        raise NotAnImageModel(
            f"the signature wants {len(inputs)} inputs ({', '.join(sorted(inputs))}), "
            "and a picture is one",
            hint="export the model with a signature that takes pictures alone",
        )
    specs = [
        TensorSpec(
            name=name,
            shape=(None,) if end.shape is None and end.dtype == "string" else end.shape or (),
            dtype=end.dtype,
        )
        for name, end in inputs.items()
    ]
    hints = {spec.name: InputHints(encoded=len(spec.shape) == 1) for spec in specs}
    chosen = choose_image_input(specs, wanted=wanted, hints=hints)
    return chosen.image, chosen.note


def _evidence(image: ImageInput) -> Evidence:
    """What the input tells: encoded pictures, and levels of any size, are wanted whole."""
    encoded = image.tensor.dtype == "string"
    levels = image.tensor.dtype == "uint8" and image.height is None and image.width is None
    if not encoded and not levels:
        return Evidence()
    where = "it takes encoded pictures" if encoded else "its input takes levels of any size"
    return Evidence(
        encoded_input=encoded,
        resize=InGraphResize(height=0, width=0, kind="", where=where, cut=False),
    )


def _output(
    remote: RemoteModel, outputs: Mapping[str, End], image: ImageInput, *, wanted: str | None
) -> Output:
    batch = image.batch
    specs = [
        TensorSpec(name=name, shape=end.shape or (), dtype=end.dtype)
        for name, end in outputs.items()
    ]
    if wanted is None:
        detector = detection_by_names(specs)
        if detector is not None:
            return _in_rows(detector, batch)
        ranked = _ranked(specs, batch)
        if ranked is not None:
            return ranked
    spec = _class_spec(specs, wanted=wanted)
    client = connect(remote)
    try:
        numbers = _probe(client, remote, image.tensor, spec)
    finally:
        client.close()
    found = replace(spec, shape=(batch, *numbers.shape[1:]))
    classes = count_classes(found.shape)
    if classes is None:
        raise no_class_output([found])
    activation, reason = _activation(spec.name, numbers)
    return ClassOutput(tensor=found, classes=classes, activation=activation, reason=reason)


def _in_rows(output: DetectionOutput, batch: int | None) -> DetectionOutput:
    """The detector with the shapes that its answers are held to."""

    def shaped(spec: TensorSpec, *sides: int | None) -> TensorSpec:
        return replace(spec, shape=(batch, *sides))

    return replace(
        output,
        boxes=shaped(output.boxes, None, 4),
        classes=shaped(output.classes, None),
        scores=shaped(output.scores, None),
        count=None if output.count is None else shaped(output.count),
    )


def _ranked(specs: list[TensorSpec], batch: int | None) -> RankedOutput | None:
    """Classes and scores side by side: names, or whole numbers called ``classes``."""
    classes = [
        spec
        for spec in specs
        if spec.dtype == "string" or (spec.name == "classes" and spec.dtype.startswith("int"))
    ]
    scores = [spec for spec in specs if spec.dtype in SCORE_DTYPES and spec.dtype != "uint8"]
    named = [spec for spec in scores if any(word in spec.name.lower() for word in _TELLING)]
    if len(classes) != 1 or len(named or scores) != 1:
        return None
    shape: Shape = (batch, None)
    return RankedOutput(
        classes=replace(classes[0], shape=shape), scores=replace((named or scores)[0], shape=shape)
    )


def _class_spec(specs: list[TensorSpec], *, wanted: str | None) -> TensorSpec:
    """The output of a classifier: the one named, or the likeliest."""
    if wanted is not None:
        return named_spec(specs, wanted, what="output")
    numbers = [spec for spec in specs if spec.dtype in SCORE_DTYPES]
    if len(numbers) == 1:
        return numbers[0]
    found = [spec for spec in numbers if count_classes(spec.shape) is not None]
    if not found:
        raise no_class_output(specs)
    return next(
        (spec for word in _TELLING for spec in found if word in spec.name.lower()), found[0]
    )


def _probe(
    client: Client, remote: RemoteModel, given: TensorSpec, output: TensorSpec
) -> npt.NDArray[np.float64]:
    """What the remote answers to noise of different brightness, a row a picture."""
    rows = given.shape[0] or _PROBES
    answers = client.predict(
        _noise(given, rows),
        input_name=given.name,
        outputs=(output.name,),
        timeout=remote.timeout_seconds,
    )
    found = answers.get(output.name)
    if found is None or found.dtype.kind not in "biuf" or found.shape[:1] != (rows,):
        told = "nothing" if found is None else f"{found.dtype} of shape {list(found.shape)}"
        raise RemoteFailed(f"asked for {output.name!r} of {rows} pictures, it answered {told}")
    return found.astype(np.float64)


def _noise(given: TensorSpec, rows: int) -> Tensor:
    if given.dtype != "string":
        return sample_rows(given, rows=rows)
    levels = TensorSpec(name="", shape=(rows, 64, 64, 3), dtype="uint8")
    return np.array([row_of(png(each)) for each in sample_rows(levels, rows=rows)], dtype=object)


def _activation(name: str, numbers: npt.NDArray[np.float64]) -> tuple[Activation, str]:
    """What the numbers are, by their name and by the answers to noise."""
    flat = numbers.reshape(len(numbers), -1)
    if "logit" in name.lower():
        return Activation.LOGITS, f"the output is called {name!r}"
    within = bool((flat >= -1e-6).all() and (flat <= 1 + 1e-6).all())
    if within and flat.shape[1] > 1 and np.allclose(flat.sum(axis=1), 1, atol=2e-3):
        return Activation.PROBABILITIES, "asked with noise, its numbers lay in 0..1 and summed to 1"
    if within:
        return Activation.PROBABILITIES, "asked with noise, its numbers lay in 0..1"
    if (flat <= 1e-6).all() and np.allclose(np.exp(flat).sum(axis=1), 1, atol=2e-3):
        return Activation.LOG_SOFTMAX, "asked with noise, its numbers were logarithms summing to 1"
    low, high = math.floor(flat.min()), math.ceil(flat.max())
    return Activation.LOGITS, f"asked with noise, its numbers lay in {low}..{high}"
