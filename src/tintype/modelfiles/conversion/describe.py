"""The description of a Keras file that the framework converted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tintype.errors import ModelFileError
from tintype.modelfiles.conversion.convert import Converted, convert_keras
from tintype.modelfiles.description import Finding, ModelDescription, ReadOptions
from tintype.modelfiles.tensorflow.frozen import describe_frozen_graph
from tintype.types import Format


def describe_converted(
    path: Path,
    *,
    format: Format,  # noqa: A002 - the field's own name
    options: ReadOptions,
    refused: ModelFileError,
) -> ModelDescription:
    """Run the file's code through its framework, and read the graph that comes out as data.

    ``refused`` is why the file could not be read without. Raises ModelFileError.
    """
    converted = convert_keras(path, output=options.output)
    read = ReadOptions(input=converted.input, output=converted.output, max_bytes=options.max_bytes)
    description = describe_frozen_graph(converted.graph, options=read)
    said = _said(converted)
    finding = Finding(severity="warning", what=said, where=refused.message)
    return replace(
        description,
        path=path,
        format=format,
        writer=f"{converted.framework} (converted)",
        findings=(finding, *description.findings),
        notes=(f"read by itself it is refused: {refused.message}", said, *description.notes),
        ran_code=said,
    )


def _said(converted: Converted) -> str:
    when = "was run earlier" if converted.cached else "was run"
    return (
        f"code in the file {when} by {converted.framework} to convert it, {converted.shield}; the "
        f"graph's answers differ from the framework's by {converted.difference:.1g} at most"
    )
