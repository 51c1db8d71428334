"""Progress elsewhere than on a terminal: a plain line now and then."""

from __future__ import annotations

import re

from tintype.cli.progress import progress


def test_the_last_line_says_that_all_are_done(capsys):
    """With the words of the last, and how fast it went; the first lines come after seconds."""
    with progress("pictures", 3) as told:
        for words in ("", "one bad", "two bad"):
            told(words)
    lines = capsys.readouterr().err.splitlines()
    assert 1 == len(lines)
    assert re.fullmatch(r"pictures 3 of 3, two bad, [\d.]+ a second", lines[0])


def test_several_are_told_at_once(capsys):
    """And what was done before counts as done."""
    with progress("pictures", 30, begun_at=10) as told:
        told("", more=12)
        told("", more=8)
    assert capsys.readouterr().err.startswith("pictures 30 of 30, ")


def test_the_total_may_be_found_later(capsys, monkeypatch):
    """Until then nothing is said of it; then how long it will take."""
    monkeypatch.setattr("tintype.cli.progress._EVERY_SECONDS", 0.0)
    total: list[int | None] = [None]
    with progress("pictures", lambda: total[0]) as told:
        told("")
        total[0] = 4
        told("")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"pictures 1, [\d.]+ a second", first)
    assert re.fullmatch(r"pictures 2 of 4, [\d.]+ a second, 0:00:0\d left", second)
