"""What a graph may not hold: operations that run code or touch files, and bombs.

Nothing in a graph is run while it is read, and engines have no such operations either; a model
that wants them cannot be served as its author meant it, and its file should not be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable

from tintype.errors import ModelFileTooLarge, UnsafeModel, UnsupportedModel
from tintype.modelfiles.tensorflow.constants import Constants
from tintype.modelfiles.tensorflow.flow import FlatNode, short_name
from tintype.modelfiles.tensorflow.graphdef import Library, Node, with_functions
from tintype.wire.tensors import read_tensor, stored_values

_CODE = {
    "PyFunc": "runs Python code",
    "PyFuncStateless": "runs Python code",
    "EagerPyFunc": "runs Python code",
    "ReadFile": "reads files",
    "WriteFile": "writes files",
    "MatchingFiles": "lists files",
    "WholeFileReader": "reads files",
    "WholeFileReaderV2": "reads files",
    "TextLineReader": "reads files",
    "TextLineReaderV2": "reads files",
    "TFRecordReader": "reads files",
    "TFRecordReaderV2": "reads files",
    "FixedLengthRecordReader": "reads files",
    "FixedLengthRecordReaderV2": "reads files",
    "TextLineDataset": "reads files",
    "TFRecordDataset": "reads files",
    "TFRecordDatasetV2": "reads files",
    "FixedLengthRecordDataset": "reads files",
    "FixedLengthRecordDatasetV2": "reads files",
    "SaveDataset": "writes files",
    "SaveDatasetV2": "writes files",
    "LoadDataset": "reads files",
    "CreateSummaryFileWriter": "writes files",
    "CreateSummaryDbWriter": "writes files",
    "DebugIdentity": "sends tensors to an address in the file",
    "DebugIdentityV2": "sends tensors to an address in the file",
    "RpcCall": "calls another machine",
    "RpcClient": "calls another machine",
    "RpcServer": "calls another machine",
    "RemoteCall": "calls another machine",
    "RemoteFusedGraphExecute": "calls another machine",
    "XlaCustomCall": "calls native code",
    "XlaCustomCallV2": "calls native code",
    "LoadLibrary": "loads native code",
}
_SAVING = {
    "Save", "SaveSlices", "SaveV2", "Restore", "RestoreSlice", "RestoreV2", "MergeV2Checkpoints",
    "LoadAndRemapMatrix",
}  # fmt: skip
"""Every SavedModel has these, for its variables; an answer has no business with them."""

_CHANCE = ("StatelessRandom", "StatefulUniform")

SPLAT_LIMIT = 256 << 20
"""Bytes that constants may declare beyond what is written out for them: a repeated value makes a
gigabyte out of nothing, and training scripts have no use for large ones."""


def refuse_code(nodes: Iterable[tuple[str, Node]], library: Library) -> None:
    """Raise UnsafeModel for an operation that runs code, also in functions, loops and branches."""
    for where, node in with_functions(nodes, library):
        reason = _CODE.get(node.op)
        if node.op == "PrintV2" and (node.text("output_stream") or "").startswith("file:"):
            reason = "writes files"
        if reason:
            raise UnsafeModel(
                f"the operation {node.op} ({where}) {reason}",
                hint="export the model without it: only what lies between picture and answer",
            )


def refuse_saving(ancestors: Iterable[FlatNode]) -> None:
    """Raise UnsafeModel where an answer depends on reading or writing checkpoints."""
    for node in ancestors:
        if node.op in _SAVING:
            raise UnsafeModel(f"the operation {node.op} ({node.name}) reads or writes files")


def refuse_chance(ancestors: Iterable[FlatNode]) -> None:
    """Raise UnsupportedModel where an answer depends on chance.

    Keras 3 leaves its augmentation layers switched on in a model that it exports. TensorFlow 1's
    RandomUniform is let by: its dropout is often fed so that chance changes nothing.
    """
    for node in ancestors:
        if node.op.startswith(_CHANCE):
            raise UnsupportedModel(
                "the graph changes pictures at random: it was exported with its augmentation "
                "layers (RandomFlip, RandomRotation ...) switched on, so that every answer "
                f"differs ({short_name(node.name)})",
                hint="serve the .keras or .h5 file instead, or export a model without these layers",
            )


def check_constants(nodes: Iterable[Node], *, max_bytes: int) -> None:
    """Check what constants declare against what they hold. Reads no values.

    Raises ModelFileDamaged where they differ, ModelFileTooLarge where they declare more than
    ``max_bytes`` together, or more than ``SPLAT_LIMIT`` by repeating values.
    """
    total = repeated = 0
    for node in nodes:
        message = node.tensor() if node.op == "Const" else None
        if message is None:
            continue
        tensor = read_tensor(message, where=node.name)
        total += tensor.declared_bytes
        if tensor.elements and not len(tensor.content):
            share = min(1.0, stored_values(tensor) / tensor.elements)
            repeated += int(tensor.declared_bytes * (1 - share))
        _check_total(total, max_bytes, node.name)
        _check_total(repeated, SPLAT_LIMIT, node.name)


def check_fills(nodes: Iterable[FlatNode], constants: Constants) -> None:
    """Raise ModelFileTooLarge for an operation that makes a huge tensor out of a small shape."""
    total = 0
    for node in nodes:
        at = _FILLS.get(node.op)
        if at is None or at >= len(node.inputs):
            continue
        shape = constants.value(node.inputs[at])
        if shape is None or shape.dtype.kind not in "iu" or shape.size > 254:
            continue
        size = 4
        for side in shape.ravel():
            size *= max(0, int(side))
        total += size
        _check_total(total, SPLAT_LIMIT, node.name)


_FILLS = {
    "Fill": 0,
    "BroadcastTo": 1,
    "RandomUniform": 0,
    "RandomStandardNormal": 0,
    "TruncatedNormal": 0,
    "Empty": 0,
}


def _check_total(total: int, limit: int, where: str) -> None:
    if total > limit:
        raise ModelFileTooLarge(
            f"the constants declare more than {limit} bytes (at {where!r}), the limit",
            limit=limit,
            actual=total,
        )
