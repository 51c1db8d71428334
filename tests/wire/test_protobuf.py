"""The wire format of Protocol Buffers, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tintype.wire.protobuf import (
    ProtobufError,
    encode,
    encode_varint,
    fields,
    float32,
    read_varint,
    signed,
    spans,
    varints,
)


def test_example_of_the_specification():
    """``08 96 01`` is field 1 with the value 150."""
    assert [(1, 150)] == list(fields(memoryview(b"\x08\x96\x01")))


def test_text_of_the_specification():
    """``12 07 testing`` is field 2 with seven bytes."""
    ((number, value),) = fields(memoryview(b"\x12\x07testing"))
    assert (2, b"testing") == (number, bytes(value))


def test_values_are_views():
    """Nothing is copied."""
    message = bytearray(encode(3, b"abc"))
    ((_, value),) = fields(memoryview(message))
    message[-1] = ord("z")
    assert b"abz" == bytes(value)


def test_spans_hold_tag_and_value():
    """The bytes of all fields together are the message."""
    message = encode(1, 7) + encode(2, b"x") + encode(9, 300)
    assert message == b"".join(bytes(span) for _, span, _ in spans(memoryview(message)))


def test_fixed_numbers():
    """Four and eight bytes, little-endian."""
    message = b"\x0d\x00\x00\x80\x3f" + b"\x11" + (5).to_bytes(8, "little")
    (_, bits), (_, wide) = fields(memoryview(message))
    assert (1.0, 5) == (float32(bits), wide)


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63)])
def test_negative_numbers(number):
    """Stored as two's complement in 64 bits."""
    assert number == signed(number & (2**64 - 1))


def test_packed_numbers():
    """A packed list is numbers one behind the other."""
    assert [1, 300, 2] == list(varints(memoryview(b"\x01\xac\x02\x02")))


@pytest.mark.parametrize(
    "message",
    [b"\x08", b"\x08\x96", b"\x12\x07test", b"\x0d\x00", b"\x0b", b"\x00\x01", b"\xff" * 12],
    ids=["no value", "half a number", "short bytes", "short fixed", "group", "field 0", "endless"],
)
def test_damage_is_told(message):
    """Every kind of damage raises ProtobufError."""
    with pytest.raises(ProtobufError):
        list(fields(memoryview(message)))


@given(st.integers(0, 2**64 - 1))
def test_numbers_there_and_back(number):
    """Every 64-bit number survives."""
    stored = encode_varint(number)
    assert (number, len(stored)) == read_varint(memoryview(stored), 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(message):
    """Random bytes raise nothing else."""
    try:
        found = list(spans(memoryview(message)))
    except ProtobufError:
        return
    assert message == b"".join(bytes(span) for _, span, _ in found)
