"""Files are read whole up to a limit, whatever size they tell."""

from __future__ import annotations

import os
import threading

import pytest

from tintype.bulk.picture_file import read_picture
from tintype.errors import BodyTooLarge, InputUnreachable


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_is_read_up_to_the_limit(tmp_path, size):
    """The limit itself is allowed."""
    (tmp_path / "a").write_bytes(b"x" * size)
    assert b"x" * size == read_picture(tmp_path / "a", limit=100)


def test_a_larger_file_is_refused(tmp_path):
    """With what moves the limit."""
    (tmp_path / "a").write_bytes(b"x" * 101)
    with pytest.raises(BodyTooLarge, match="100 bytes") as told:
        read_picture(tmp_path / "a", limit=100)
    assert "MAX_BODY_BYTES" in told.value.hint


@pytest.mark.parametrize(("size", "is_read"), [(100, True), (101, False)])
def test_a_pipe_tells_no_size(tmp_path, size, is_read):
    """It is read all the same, to its end or past the limit."""
    os.mkfifo(tmp_path / "a")
    writer = threading.Thread(target=(tmp_path / "a").write_bytes, args=(b"x" * size,))
    writer.start()
    try:
        if is_read:
            assert b"x" * size == read_picture(tmp_path / "a", limit=100)
        else:
            with pytest.raises(BodyTooLarge):
                read_picture(tmp_path / "a", limit=100)
    finally:
        writer.join()


def test_a_pipe_that_gives_bit_by_bit_is_read_to_its_end(tmp_path):
    """Each read gets what is there."""
    os.mkfifo(tmp_path / "a")

    def write():
        with (tmp_path / "a").open("wb", buffering=0) as pipe:
            for _ in range(5):
                pipe.write(b"x" * 70_000)  # more than a pipe holds

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert 350_000 == len(read_picture(tmp_path / "a", limit=1_000_000))
    finally:
        writer.join()


@pytest.mark.parametrize("name", ["gone", "a\0b"])
def test_a_file_that_is_not_there_is_told(tmp_path, name):
    """Also by a name that can be none."""
    with pytest.raises(InputUnreachable, match="cannot be read"):
        read_picture(tmp_path / name, limit=100)
