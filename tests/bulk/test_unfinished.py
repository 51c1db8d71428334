"""Whatever ends the work, and wherever: each item is answered once in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tintype.bulk.items import Item
from tintype.bulk.rows import Done
from tintype.bulk.unfinished import Unfinished
from tintype.errors import SettingsError


def item(at: int, size: int = 1) -> Item:
    return Item(name=f"{at}.jpg", size=size, read=bytes)


def answer(at: int, *, failures: int = 0) -> Done:
    return Done(items=1, failures=failures, identity=item(at).identity, lines=f"R{at}\n".encode())


def unfinished(folder: Path, *, restart: bool = False, **manifest) -> Unfinished:
    return Unfinished(
        folder / "u", manifest={"model": "a", "sources": ("x", "y"), **manifest}, restart=restart
    )


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Three items answered, in two commits."""
    with unfinished(tmp_path) as kept:
        kept.add(answer(0, failures=1))
        kept.commit()
        kept.add(answer(1))
        kept.add(answer(2))
    return tmp_path


def test_answers_are_there_again(begun):
    """With how many there are."""
    with unfinished(begun) as kept:
        assert (3, 1) == (kept.items, kept.failures)
        assert [b"R0\n", b"R1\n", b"R2\n"] == [*kept.lines()]


def test_it_goes_on_after_what_is_answered(begun):
    """The listing is taken up where it stood."""
    with unfinished(begun) as kept:
        listing = (item(at) for at in range(5))
        kept.skip(listing)
        assert "3.jpg" == next(listing).name
        kept.add(answer(3))
    with unfinished(begun) as kept:
        assert [b"R0\n", b"R1\n", b"R2\n", b"R3\n"] == [*kept.lines()]


def take(begun: Path, *answers) -> None:
    """Go on with these."""
    with unfinished(begun) as kept:
        for each in answers:
            kept.add(each)


class Interrupted:
    """An answer that Ctrl-C cuts in two: its lines are written, and nothing counts it yet."""

    lines = b"R4\n"
    identity = item(4).identity

    @property
    def items(self) -> int:
        """Where it is cut."""
        raise KeyboardInterrupt


def test_an_answer_that_was_half_taken_is_made_anew(begun):
    """Ctrl-C may come between any two lines of the program."""
    with pytest.raises(KeyboardInterrupt):
        take(begun, answer(3), Interrupted())
    with unfinished(begun) as kept:
        listing = (item(at) for at in range(5))
        kept.skip(listing)
        assert ("3.jpg", 3) == (next(listing).name, kept.items)
        assert [b"R0\n", b"R1\n", b"R2\n"] == [*kept.lines()]


def test_answers_that_were_not_committed_are_made_anew(begun):
    """As a kill leaves them: half a line, and no word of it in the journal."""
    with (begun / "u/answers").open("ab") as file:
        file.write(b"R3\nR4 and ha")
    with unfinished(begun) as kept:
        assert 3 == kept.items
        assert [b"R0\n", b"R1\n", b"R2\n"] == [*kept.lines()]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_journal_cut_anywhere_holds_up_to_its_last_whole_line(begun, cut):
    """The answers after it are cut off, and made anew."""
    path = begun / "u/journal"
    path.write_bytes(path.read_bytes()[:-cut])
    with unfinished(begun) as kept:
        assert 1 == kept.items
        kept.skip(iter([item(0)]))
        for at in (1, 2, 3):
            kept.add(answer(at))
    with unfinished(begun) as kept:
        kept.skip(item(at) for at in range(4))
        assert [f"R{at}\n".encode() for at in range(4)] == [*kept.lines()]


def test_a_journal_with_rubbish_at_its_end_is_cut(begun):
    """Blocks that a disk had no time to write may hold anything."""
    with (begun / "u/journal").open("ab") as file:
        file.write(b"\0" * 100)
    with unfinished(begun) as kept:
        assert 3 == kept.items


def test_an_error_keeps_what_was_answered(tmp_path):
    """A model that is away, a person who stops it."""

    def interrupted() -> None:
        with unfinished(tmp_path) as kept:
            kept.add(answer(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with unfinished(tmp_path) as kept:
        assert 1 == kept.items


@pytest.mark.parametrize(
    "listing",
    [
        [item(0), item(1)],
        [item(0), item(1), item(7)],
        [item(1), item(0), item(2)],
        [item(0), item(1), item(2, size=9)],
        [],
    ],
)
def test_sources_that_changed_are_refused(begun, listing):
    """Fewer, others, in another order, of another size: answers would be missing or double."""
    with unfinished(begun) as kept, pytest.raises(SettingsError, match="have changed") as told:
        kept.skip(iter(listing))
    assert "--restart" in told.value.hint


def test_another_manifest_is_refused(begun):
    """It says what is another, and changes nothing."""
    with (
        pytest.raises(SettingsError, match=r"what differs: model, top$"),
        unfinished(begun, model="b", top=3),
    ):
        pass
    with unfinished(begun) as kept:
        assert 3 == kept.items


def test_restart_throws_away_what_was_answered(begun):
    """Also what another manifest began."""
    with unfinished(begun, restart=True, model="b") as kept:
        assert (0, []) == (kept.items, [*kept.lines()])


def test_two_processes_are_never_at_it(begun):
    """The second is told."""
    with (
        unfinished(begun),
        pytest.raises(SettingsError, match="another process"),
        unfinished(begun),
    ):
        pass


def test_a_damaged_manifest_is_told(begun):
    """In words."""
    (begun / "u/manifest.json").write_bytes(b"{")
    with pytest.raises(SettingsError, match="damaged"), unfinished(begun):
        pass


def test_answers_that_were_cut_are_told(begun):
    """A journal without its answers is no beginning."""
    (begun / "u/answers").write_bytes(b"")
    with pytest.raises(SettingsError, match="shorter than"), unfinished(begun):
        pass


def test_nothing_is_left_when_it_is_removed(begun):
    """The results are elsewhere."""
    with unfinished(begun) as kept:
        kept.remove()
    assert [] == [*begun.iterdir()]
