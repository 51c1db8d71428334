"""The changed copy of a SavedModel that names the tensors to feed and to read."""

from __future__ import annotations

import pytest

from tintype.engines.openvino_saved_model import saved_model_for
from tintype.errors import ModelFileDamaged
from tintype.types import Format, Graph, TensorSpec
from tintype.wire.protobuf import encode, fields


def ends(*names):
    return tuple(TensorSpec(name=name, shape=(None,)) for name in names)


def signature(name, inputs, outputs):
    entries = b""
    for number, tensors in ((1, inputs), (2, outputs)):
        for tensor in tensors:
            info = encode(1, tensor.encode())
            entries += encode(number, encode(1, tensor.encode()) + encode(2, info))
    return encode(5, encode(1, name.encode()) + encode(2, entries))


def meta_graph(tag, *signatures):
    return encode(
        2, encode(1, encode(4, tag.encode())) + encode(2, b"graph") + b"".join(signatures)
    )


@pytest.fixture
def folder(tmp_path):
    """A default signature and another one, and a file of variables."""
    content = meta_graph(
        "serve",
        signature("other", ["u:0"], ["v:0"]),
        signature("serving_default", ["x:0"], ["y:0", "z:0"]),
    )
    (tmp_path / "saved_model.pb").write_bytes(encode(1, 1) + content)
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    return tmp_path


def graph_of(folder, feed, *read):
    return Graph(
        format=Format.TF_SAVED_MODEL, source=folder, input=ends(feed)[0], outputs=ends(*read)
    )


def signatures_in(folder):
    """Name, inputs and outputs of every signature."""
    found = []
    content = memoryview((folder / "saved_model.pb").read_bytes())
    for number, meta in fields(content):
        for which, entry in fields(meta) if number == 2 else ():
            if which == 5:
                parts = dict(fields(entry))
                tensors = {1: [], 2: []}
                for side, each in fields(parts[2]):
                    if side in tensors:
                        info = dict(fields(dict(fields(each))[2]))
                        tensors[side].append(bytes(info[1]).decode())
                found.append((bytes(parts[1]).decode(), tensors[1], tensors[2]))
    return found


@pytest.mark.parametrize("read", [("y:0",), ("z:0", "y:0"), ("y",)])
def test_default_signature_needs_no_copy(folder, read):
    """The folder itself is used where the default has what is wanted."""
    with saved_model_for(graph_of(folder, "x:0", *read), folder) as used:
        assert folder == used


@pytest.mark.parametrize(
    ("feed", "read"), [("u:0", "v:0"), ("middle:0", "y:0"), ("x:0", "middle:0")]
)
def test_other_ends_are_declared_as_default(folder, feed, read):
    """The copy has one signature, of the wanted tensors, whoever named them before."""
    with saved_model_for(graph_of(folder, feed, read), folder) as used:
        assert folder != used
        assert [("serving_default", [feed], [read])] == signatures_in(used)


def test_variables_are_beside_the_copy(folder):
    """The copy shows the same files."""
    with saved_model_for(graph_of(folder, "u:0", "v:0"), folder) as used:
        assert b"index" == (used / "variables" / "variables.index").read_bytes()


def test_copy_is_gone_afterwards(folder):
    """Nothing is left behind, and the variables stay."""
    with saved_model_for(graph_of(folder, "u:0", "v:0"), folder) as used:
        pass
    assert not used.exists()
    assert (folder / "variables" / "variables.index").exists()


def test_graph_for_serving_is_taken(folder):
    """Of several graphs, that tagged ``serve`` is kept."""
    training = meta_graph("train", signature("serving_default", ["x:0"], ["y:0"]))
    path = folder / "saved_model.pb"
    path.write_bytes(training + path.read_bytes())
    with saved_model_for(graph_of(folder, "x:0", "y:0"), folder) as used:
        content = memoryview((used / "saved_model.pb").read_bytes())
        (meta,) = (value for number, value in fields(content) if number == 2)
        assert b"serve" == bytes(dict(fields(dict(fields(meta))[1]))[4])


@pytest.mark.parametrize("content", [b"", b"\x0b", b"\x12\x05ab"])
def test_damage_is_told(folder, content):
    """Other bytes raise nothing else."""
    (folder / "saved_model.pb").write_bytes(content)
    with (
        pytest.raises(ModelFileDamaged, match="saved_model"),
        saved_model_for(graph_of(folder, "u:0", "v:0"), folder),
    ):
        pass
