"""Labels by their class numbers."""

from __future__ import annotations

from collections.abc import Sequence

from tintype.errors import LabelsError

MAX_LABELS = 100_000
"""The most labels a file may hold."""

MAX_LABEL_LENGTH = 1000
"""The most characters of one."""

MOST_NUMBER = 999_999
"""The largest class number."""


def in_order(pairs: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """Lay labels out by number, gaps filled; lists that count from 1 begin with their 1."""
    by_number: dict[int, str] = {}
    for number, name in pairs:
        if not 0 <= number <= MOST_NUMBER:
            raise LabelsError(f"class number {number} is out of range, expected 0 to {MOST_NUMBER}")
        if by_number.setdefault(number, name) != name:
            raise LabelsError(
                f"class {number} has two labels, {by_number[number]!r} and {name!r}; expected one"
            )
    if not by_number:
        raise LabelsError("the labels file holds no label, expected a name for each class")
    first, last = (0 if 0 in by_number else 1), max(by_number)
    if last >= 4 * len(by_number) + 1000:
        raise LabelsError(
            f"{len(by_number)} labels are numbered up to {last}: these are no class numbers",
            hint="number the classes from 0, or give a label a line in the model's order",
        )
    return tuple(by_number.get(number, f"class {number}") for number in range(first, last + 1))


def either_way_round(pairs: Sequence[tuple[str, str | None]]) -> tuple[str, ...] | None:
    """Read number-to-name or name-to-number; None when it is neither."""
    known = [(key, name) for key, name in pairs if name is not None]
    if not known or len(known) < len(pairs):
        return None
    # Both sides numbers ({"0": "7"}): the key is the class.
    if all(is_number(key) for key, _ in known):
        return in_order([(int(key), name) for key, name in known])
    if all(is_number(name) for _, name in known):
        return in_order([(int(name), key.strip()) for key, name in known])
    return None


def is_number(text: str) -> bool:
    """Whether a text is a class number."""
    return text.isascii() and text.isdigit() and len(text) <= 6
