from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tintype.errors import ModelFileDamaged, ModelFileError, ModelFileTooLarge
from tintype.modelfiles.tflite.flatbuffer import Table


@pytest.fixture
def sample(encode_flatbuffer) -> bytes:
    return encode_flatbuffer(
        {
            0: "name",
            1: np.array([1, -2, 3], np.int32),
            2: {0: "inner"},
            3: [{0: "a"}, {0: "b"}],
            4: b"\x01\x02",
        }
    )


def test_every_kind_of_field_is_read(sample):
    """Texts, vectors, tables and vectors of tables come out as they were written."""
    root = Table.root(sample)
    inner = root.table(2)

    assert root.text(0) == "name"
    assert root.numbers(1, "<i4", most=9).tolist() == [1, -2, 3]
    assert inner is not None
    assert inner.text(0) == "inner"
    assert [table.text(0) for table in root.tables(3, most=9)] == ["a", "b"]
    assert bytes(root.bytes(4)) == b"\x01\x02"


def test_absent_fields_are_their_defaults(sample):
    """Fields beyond the vtable are absent, as older writers leave them out."""
    root = Table.root(sample)

    assert root.text(40) == ""
    assert root.i32(40, 7) == 7
    assert root.table(40) is None
    assert root.numbers(40, "<f4", most=1).size == 0
    assert list(root.tables(40, most=1)) == []


def test_lists_longer_than_asked_for_are_refused(sample):
    """A stranger's million entries are not walked."""
    root = Table.root(sample)
    with pytest.raises(ModelFileTooLarge):
        root.numbers(1, "<i4", most=2)
    with pytest.raises(ModelFileTooLarge):
        list(root.tables(3, most=1))


def test_a_vector_beyond_the_end_is_damaged(encode_flatbuffer):
    """A length that leads out of the data is refused before it is believed."""
    data = bytearray(encode_flatbuffer({0: b"abc"}))
    place = data.index(b"\x03\0\0\0abc")
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    with pytest.raises(ModelFileDamaged, match="points at bytes"):
        Table.root(bytes(data)).bytes(0)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 8, b"\0" * 64, b"\x04\0\0\0" * 4])
def test_nonsense_is_damaged(data):
    """A root that is none is refused."""
    with pytest.raises(ModelFileError):
        Table.root(data)


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_bytes_raise_anything_else(data):
    """Whatever the bytes, every access ends in a value or a ModelFileError."""
    try:
        root = Table.root(data)
        for slot in range(4):
            root.text(slot)
            root.table(slot)
            root.u64(slot)
            root.numbers(slot, "<f4", most=100)
            list(root.tables(slot, most=100))
    except ModelFileError:
        pass
