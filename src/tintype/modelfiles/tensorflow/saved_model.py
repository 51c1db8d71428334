"""A SavedModel folder: ``saved_model.pb`` and, beside it, ``variables``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tintype.errors import ModelFileDamaged, ModelFileError, UnsupportedModel
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.tensorflow.bundle import Bundle, read_bundle
from tintype.modelfiles.tensorflow.constants import Constants, no_variables
from tintype.modelfiles.tensorflow.describing import File, describe, reading_errors
from tintype.modelfiles.tensorflow.flow import (
    Flow,
    Ref,
    flatten,
    parse_ref,
    short_name,
    tensor_name,
)
from tintype.modelfiles.tensorflow.inputs import Candidate, Feed, choose_input, feed_at
from tintype.modelfiles.tensorflow.mapped import map_file
from tintype.modelfiles.tensorflow.names import source_of
from tintype.modelfiles.tensorflow.outputs import (
    Answer,
    best_answer,
    describe_classes,
    describe_detection,
    detection,
    nearest,
)
from tintype.modelfiles.tensorflow.reading import Reading, look
from tintype.modelfiles.tensorflow.safety import check_constants, refuse_code
from tintype.modelfiles.tensorflow.saved_model_file import MetaGraph, Signature, read_meta_graph
from tintype.modelfiles.tensorflow.shapes import in_order
from tintype.modelfiles.tensorflow.signatures import choose_signature, takes_pictures
from tintype.modelfiles.tensorflow.variables import variables_of
from tintype.types import Format, Output


def describe_saved_model(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read the SavedModel in the folder ``path`` (or whose ``saved_model.pb`` it is).

    The signature is chosen (or ``options.signature``), then its input and output (or
    ``options.input`` and ``options.output``: a name in the signature, or of a tensor). Nothing is
    run. Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel, NotAnImageModel,
    UnsupportedModel; ModelFileError for a name in ``options`` that is not there.
    """
    folder = path if path.is_dir() else path.parent
    with reading_errors(folder / "saved_model.pb"):
        meta = read_meta_graph(map_file(folder / "saved_model.pb", max_bytes=options.max_bytes))
        bundle = _bundle(folder, meta, options)
        signature, why = choose_signature(meta.signatures, asked=options.signature)
        flow = _flow(meta, signature, options)
        variable = variables_of(flow, bundle).read if bundle is not None else no_variables
        constants = Constants(flow, variable)
        top = {node.name for node in meta.graph.nodes}
        output, reading, note = _output(constants, signature, options, top=top)
        refuse_code(
            ((flat.name, flat.node) for flat in reading.ancestors.values()), meta.graph.library
        )
        feed = _feed(reading, meta, signature, options)
        file = _file(folder, meta, reading, notes=(why, note))
        named = _candidates(signature)
        others = [*named, *_unnamed_inputs(flow, {candidate.ref for candidate in named})]
        return describe(file, constants, feed=feed, output=output, others=others)


def _bundle(folder: Path, meta: MetaGraph, options: ReadOptions) -> Bundle | None:
    """The variables; None where the graph has none and no folder for them."""
    prefix = folder / "variables" / "variables"
    if prefix.with_name("variables.index").is_file():
        return read_bundle(prefix, max_bytes=options.max_bytes)
    if any(node.op in {"VarHandleOp", "VariableV2"} for node in meta.graph.nodes):
        raise ModelFileDamaged(
            "the graph has variables, but the folder 'variables' with their values is missing",
            hint="copy the whole folder, not saved_model.pb alone",
        )
    return None


def _flow(meta: MetaGraph, signature: Signature, options: ReadOptions) -> Flow:
    wanted = [parse_ref(info.name)[0] for info in signature.outputs.values()]
    if options.output is not None:
        wanted.append(parse_ref(options.output)[0])
    restore = [parse_ref(meta.restore)[0]] if meta.restore else []
    flow = flatten(meta.graph.nodes, meta.graph.library, [*wanted, *restore])
    check_constants((flat.node for flat in flow.nodes.values()), max_bytes=options.max_bytes)
    return flow


def _answers(signature: Signature) -> list[Answer]:
    return [
        Answer(parse_ref(info.name), key, info.dtype, info.shape)
        for key, info in signature.outputs.items()
    ]


def _output(
    constants: Constants, signature: Signature, options: ReadOptions, *, top: Collection[str]
) -> tuple[Output, Reading, str]:
    answers = _answers(signature)
    given: dict[Ref, tuple[int | None, ...]] = {
        parse_ref(info.name): info.shape
        for info in signature.inputs.values()
        if info.shape is not None
    }
    if options.output is not None:
        answer = _named_answer(constants.flow, answers, options.output)
        reading = look(constants, [answer.ref], given=given)
        note = f"the output is {answer.label!r}: it was given"
        return describe_classes(reading, answer), reading, note
    found = detection(answers)
    if found is not None:
        reading = look(constants, [answer.ref for answer in found], given=given)
        return describe_detection(found), reading, "the outputs are those of a detector, by name"
    answer = best_answer(constants.flow, answers, top=top)
    reading = look(constants, [answer.ref], given=given)
    why = f"the likeliest of {len(answers)}" if len(answers) > 1 else "the only one"
    note = f"the output is {answer.label!r}: {why} in the signature"
    return describe_classes(reading, answer), reading, note


def _named_answer(flow: Flow, answers: list[Answer], name: str) -> Answer:
    for answer in answers:
        if name in {answer.label, answer.ref[0], f"{answer.ref[0]}:{answer.ref[1]}"}:
            return answer
    ref = parse_ref(name)
    if ref[0] in flow.nodes:
        return Answer(ref, name)
    known = [answer.label for answer in answers]
    raise ModelFileError(
        f"the signature has no output {name!r}; the nearest are {nearest(name, known)}",
        hint="--output takes a name in the signature, or of a tensor",
    )


def _candidates(signature: Signature) -> list[Candidate]:
    return [
        Candidate(parse_ref(info.name), info.dtype, info.shape, key)
        for key, info in signature.inputs.items()
    ]


def _unnamed_inputs(flow: Flow, named: Collection[Ref]) -> Iterator[Candidate]:
    """Inputs that the signature does not name, such as a learning phase."""
    for flat in flow.nodes.values():
        if flat.op == "Placeholder" and (flat.name, 0) not in named:
            dtype = flat.node.dtype() or "float32"
            yield Candidate((flat.name, 0), dtype, flat.node.shape(), flat.name)


def _feed(reading: Reading, meta: MetaGraph, signature: Signature, options: ReadOptions) -> Feed:
    candidates = _candidates(signature)
    if options.input is None:
        used = [candidate for candidate in candidates if candidate.ref[0] in reading.ancestors]
        top = {node.name for node in meta.graph.nodes}
        feed = choose_input(reading, used or candidates, top=top, library=meta.graph.library)
        if feed is None:
            raise _inside_function(meta, signature)
        return feed
    for candidate in candidates:
        if options.input in {candidate.label, candidate.ref[0], tensor_name(candidate.ref)}:
            return feed_at(reading, candidate)
    ref = parse_ref(options.input)
    if ref[0] not in {node.name for node in meta.graph.nodes}:
        known = [candidate.label for candidate in candidates]
        raise ModelFileError(
            f"the signature {signature.name!r} has no input {options.input!r}; "
            f"the nearest are {nearest(options.input, known)}",
            hint="--input takes a name in the signature, or of a tensor outside all functions",
        )
    return feed_at(reading, Candidate(ref, "float32", reading.shape(ref), options.input))


def _inside_function(meta: MetaGraph, signature: Signature) -> UnsupportedModel:
    """The refusal of a graph that could only be fed inside a function, with another way."""
    others = [
        name
        for name, other in meta.signatures.items()
        if name != signature.name and takes_pictures(other)
    ]
    return UnsupportedModel(
        f"the signature {signature.name!r} takes encoded pictures and decodes them inside a "
        "function, where the graph cannot be entered",
        hint=f"use --signature {others[0]}" if others else "export it with an input of pixels",
    )


def _file(folder: Path, meta: MetaGraph, reading: Reading, *, notes: tuple[str, ...]) -> File:
    names = [*reading.ancestors, *(node.name for node in meta.graph.nodes)]
    functions = bool(meta.graph.library.views)
    return File(
        path=folder,
        format=Format.TF_SAVED_MODEL,
        writer=f"TensorFlow {meta.version}" if meta.version else None,
        source="keras"
        if meta.keras
        else source_of(names, producer=meta.graph.producer, functions=functions),
        operations=tuple(
            f"{short_name(flat.name)} ({flat.op})"
            for flat in in_order(reading.flow, reading.ancestors)
        ),
        notes=notes,
    )
