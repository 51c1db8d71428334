"""A Keras file described: the one door of this package.

file -> container (JSON, HDF5) -> config (layers and connections) -> weights -> build (ONNX)
-> description. Nothing of it imports Keras or TensorFlow, and nothing in the file is run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tintype.errors import ModelFileDamaged, ModelFileTooLarge
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.keras.answer import choose_output
from tintype.modelfiles.keras.build import (
    Building,
    build_model,
    check_kinds,
    picture_port,
    slots_of,
)
from tintype.modelfiles.keras.config import parse_model
from tintype.modelfiles.keras.container import KerasFile, open_keras
from tintype.modelfiles.keras.dialect import check_declared_shapes, dialect_of, refuse_adapters
from tintype.modelfiles.keras.endpoints import cut_to_one_input
from tintype.modelfiles.keras.evidence import gather_evidence
from tintype.modelfiles.keras.image import choose_input
from tintype.modelfiles.keras.old_weights import turn_weights
from tintype.modelfiles.keras.onnx_wire import Port, encode_model
from tintype.modelfiles.keras.summary import summarise
from tintype.modelfiles.keras.weights import find_weights
from tintype.types import Format, Graph

UNFORESEEN = "the model's configuration makes no sense"
"""How the error begins where a contradiction was not looked for by name."""


def describe_keras(path: Path, *, format: Format, options: ReadOptions) -> ModelDescription:  # noqa: A002 - the field's own name
    """Read a Keras model: ``format`` is KERAS_HDF5 or KERAS_ZIP.

    The graph handed on is ONNX, as bytes; its input has the shape and axis order of the Keras
    model with a free batch axis. Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel,
    UnsupportedModel or NotAnImageModel, and nothing else.
    """
    try:
        # A weight may be infinite or NaN: the graph then says so, and no warning is of use.
        with (
            np.errstate(all="ignore"),
            open_keras(path, format=format, max_bytes=options.max_bytes) as file,
        ):
            return _describe(path, file, options)
    except RecursionError as error:
        raise ModelFileDamaged("the model's configuration is nested too deeply") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The last net for a stranger's file; the tests hold that nothing known falls into it.
        raise ModelFileDamaged(
            f"{UNFORESEEN} ({type(error).__name__}: {str(error)[:120]})"
        ) from error
    except MemoryError as error:
        raise ModelFileTooLarge("the model needs more memory than there is") from error


def _describe(path: Path, file: KerasFile, options: ReadOptions) -> ModelDescription:
    dialect = dialect_of(file)
    whole = parse_model(dialect.config)
    model, cut = cut_to_one_input(whole, input=options.input, output=options.output)
    chosen = choose_input(model, options.input)
    check_kinds(model)
    refuse_adapters(file, model)
    weights = turn_weights(
        model,
        find_weights(file, model, slots_of),
        keras1=dialect.keras1,
        mirrored=dialect.mirrored,
    )
    building = Building(weights=weights, generation=file.generation)
    tensor = chosen.image.tensor
    port, value = picture_port(building, name=tensor.name, shape=tensor.shape, dtype=tensor.dtype)
    values = build_model(model, building, [value])
    check_declared_shapes(model, building.shapes)
    answer = choose_output(building, names=model.output_names, values=values, wanted=options.output)
    evidence, remarks = gather_evidence(
        model, building, image=chosen.image, value=value, generation=file.generation
    )
    spec = answer.output.tensor
    graph = building.graph.finish(
        name=model.name,
        inputs=[port],
        outputs=[Port(name=spec.name, dtype=spec.dtype, shape=spec.shape)],
    )
    return ModelDescription(
        path=path,
        format=file.format,
        writer=_writer(file),
        image=chosen.image,
        output=answer.output,
        graph=Graph(
            format=Format.ONNX,
            source=encode_model(graph, producer="tintype"),
            input=tensor,
            outputs=(spec,),
        ),
        labels_in_file=file.labels,
        evidence=evidence,
        layers=summarise(model, building, tensor.shape),
        operations=tuple(f"{node.name} ({node.op})" for node in graph.nodes),
        findings=answer.findings,
        notes=(
            chosen.note,
            *cut,
            *file.notes,
            *dialect.notes,
            *answer.notes,
            *remarks,
            *dict.fromkeys(building.remarks),
        ),
    )


def _writer(file: KerasFile) -> str | None:
    if file.version is None:
        return None
    backend = f" ({file.backend} backend)" if file.backend else ""
    return f"Keras {file.version}{backend}"
