"""A frozen graph: one GraphDef whose variables have become constants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tintype.errors import ModelFileError, NotAnImageModel, UnsupportedModel
from tintype.modelfiles.description import ModelDescription, ReadOptions
from tintype.modelfiles.tensorflow.constants import Constants
from tintype.modelfiles.tensorflow.describing import File, describe, reading_errors
from tintype.modelfiles.tensorflow.flow import FlatNode, Ref, flatten, parse_ref
from tintype.modelfiles.tensorflow.graphdef import GraphDef, read_graph
from tintype.modelfiles.tensorflow.inputs import Candidate, Feed, choose_input, feed_at
from tintype.modelfiles.tensorflow.mapped import map_file
from tintype.modelfiles.tensorflow.names import source_of
from tintype.modelfiles.tensorflow.outputs import (
    Answer,
    activated,
    best_answer,
    describe_classes,
    describe_detection,
    detection,
    loose_ends,
    nearest,
)
from tintype.modelfiles.tensorflow.reading import Reading, look
from tintype.modelfiles.tensorflow.safety import check_constants, refuse_code
from tintype.types import Format, Output

_MOST_TRIED = 20


def describe_frozen_graph(path: Path, *, options: ReadOptions) -> ModelDescription:
    """Read ``path`` as a GraphDef and find its ends by structure, or as ``options`` name them.

    Nothing is run. Raises ModelFileDamaged, ModelFileTooLarge, UnsafeModel, NotAnImageModel,
    UnsupportedModel; ModelFileError for a name in ``options`` that is not in the graph.
    """
    with reading_errors(path):
        graph = read_graph(map_file(path, max_bytes=options.max_bytes))
        refuse_code(((node.name, node) for node in graph.nodes), graph.library)
        answers = _answers(graph, options)
        flow = flatten(graph.nodes, graph.library, [answer.ref[0] for answer in answers])
        check_constants((flat.node for flat in flow.nodes.values()), max_bytes=options.max_bytes)
        constants = Constants(flow)
        output, reading, note = _output(constants, answers, given=options.output is not None)
        feed = _feed(reading, graph, options)
        names = [node.name for node in graph.nodes]
        file = File(
            path=path,
            format=Format.TF_FROZEN_GRAPH,
            writer=_writer(graph),
            source=source_of(names, producer=graph.producer, functions=bool(graph.library.views)),
            operations=tuple(f"{node.name} ({node.op})" for node in graph.nodes),
            notes=(note,),
        )
        others = list(_candidates(flow.nodes.values()))
        return describe(file, constants, feed=feed, output=output, others=others)


def _answers(graph: GraphDef, options: ReadOptions) -> list[Answer]:
    """The outputs to choose from: the one named, or all loose ends."""
    if options.output is None:
        return loose_ends(flatten(graph.nodes, graph.library, ()))
    ref = _named(graph, options.output, flag="--output")
    return [Answer(ref, options.output)]


def _output(
    constants: Constants, answers: list[Answer], *, given: bool
) -> tuple[Output, Reading, str]:
    found = detection(answers)
    if found is not None:
        reading = look(constants, [answer.ref for answer in found])
        return describe_detection(found), reading, "the outputs are those of a detector, by name"
    answer = answers[0] if given else best_answer(constants.flow, answers)
    reading = look(constants, [answer.ref])
    note = f"the output is {answer.label!r}"
    if given:
        note += ": it was given"
    elif len(answers) > 1:
        note += f": the likeliest of {len(answers)} results that nothing else uses"
    else:
        note += ": the only result that nothing else uses"
    try:
        return describe_classes(reading, answer), reading, note
    except NotAnImageModel:
        inner = None if given else _inner_output(constants)
        if inner is None:
            raise
        return inner


def _inner_output(constants: Constants) -> tuple[Output, Reading, str] | None:
    """The last softmax or sigmoid over classes, where only a loss and the like are loose ends."""
    for answer in activated(constants.flow)[:_MOST_TRIED]:
        reading = look(constants, [answer.ref])
        with contextlib.suppress(NotAnImageModel):
            output = describe_classes(reading, answer)
            note = f"the output is {answer.label!r}: the last {output.activation} over classes"
            return output, reading, note
    return None


def _feed(reading: Reading, graph: GraphDef, options: ReadOptions) -> Feed:
    if options.input is None:
        candidates = list(_candidates(reading.ancestors.values()))
        top = {node.name for node in graph.nodes}
        feed = choose_input(reading, candidates, top=top, library=graph.library)
        if feed is None:
            raise UnsupportedModel(
                "the graph decodes pictures inside a function, where it cannot be entered",
                hint="export it with an input that takes pixels",
            )
        return feed
    ref = _named(graph, options.input, flag="--input")
    node = reading.flow.nodes[ref[0]]
    if node.name not in reading.ancestors:
        raise NotAnImageModel(f"the output does not depend on the input {options.input!r}")
    placed = node.op.startswith("Placeholder")
    dtype = node.node.dtype("dtype" if placed else "DstT" if node.op == "Cast" else "T")
    shape = node.node.shape() if placed else reading.shape(ref)
    candidate = Candidate(ref, dtype or "float32", shape, options.input)
    return feed_at(reading, candidate)


def _candidates(nodes: Iterable[FlatNode]) -> Iterator[Candidate]:
    """Placeholders, and those with a default that could be a picture."""
    for flat in nodes:
        shape = flat.node.shape()
        if flat.op in {"Placeholder", "PlaceholderV2"} or (
            flat.op == "PlaceholderWithDefault" and shape is not None and len(shape) == 4
        ):
            dtype = flat.node.dtype() or "float32"
            yield Candidate((flat.name, 0), dtype, shape, flat.name)


def _named(graph: GraphDef, name: str, *, flag: str) -> Ref:
    ref = parse_ref(name)
    names = [node.name for node in graph.nodes]
    if ref[0] not in names:
        raise ModelFileError(
            f"the graph has no operation {name!r}; the nearest are {nearest(ref[0], names)}",
            hint=f"{flag} takes the name of an operation; `tintype inspect --ops` lists them",
        )
    return ref


def _writer(graph: GraphDef) -> str | None:
    return f"TensorFlow, graph version {graph.producer}" if graph.producer else None
