"""Labels in plain text: a label a line, one line with commas, a table with a header."""

from __future__ import annotations

import csv
import re
from itertools import pairwise

from tintype.errors import LabelsError
from tintype.modelfiles.label_order import in_order, is_number

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*[:;,=|\t]\s*|\s+-\s+|\s+)(\S.*)")
_SYNSET = re.compile(r"n\d{8}\s+(\S.*)")
_NAME_COLUMNS = (
    "display_name", "class_name", "classname", "label_name", "name", "label", "labels", "class",
    "classes", "category", "names",
)  # fmt: skip
_NUMBER_COLUMNS = (
    "index", "idx", "id", "class_id", "classid", "label_id", "class_index", "number", "class",
    "label", "mid_index",
)  # fmt: skip


def from_lines(lines: list[str]) -> tuple[str, ...]:
    """Read a label a line, numbered (``0 cat``), after its WordNet id, or bare."""
    filled = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(line) for line in filled]
    pairs = [(int(match[1]), match[2].strip()) for match in numbered if match]
    if len(pairs) == len(filled) and _counts_up(pairs):
        return in_order(pairs)
    synsets = [_SYNSET.fullmatch(line) for line in filled]
    named = [match[1].strip() for match in synsets if match]
    if len(named) == len(filled):
        return tuple(named)
    # A blank line in the middle is a class without a name; its number must not be lost.
    return tuple(line or f"class {number}" for number, line in enumerate(lines))


def _counts_up(pairs: list[tuple[int, str]]) -> bool:
    """Tell class numbers from names that begin with a number (``1 euro``, ``2 euro``)."""
    numbers = [number for number, _ in pairs]
    rising = all(a < b for a, b in pairwise(numbers))
    dense = numbers[-1] - numbers[0] < 2 * len(numbers) + 8
    if not rising or not dense:
        return False
    different = len({name for _, name in pairs}) == len(pairs)
    return numbers[0] == 0 or (numbers[0] == 1 and different)


def in_one_line(lines: list[str]) -> tuple[str, ...] | None:
    """Read ``cat, dog, owl``: a file of one line, with no number and no WordNet id before it."""
    if len(lines) != 1 or _NUMBERED.fullmatch(lines[0]) or _SYNSET.fullmatch(lines[0]):
        return None
    cells = [cell.strip() for cell in rows_of(lines, ",")[0]]
    return tuple(cells) if len(cells) > 1 and all(cells) else None


def from_table(lines: list[str]) -> tuple[str, ...] | None:
    """Read CSV with a header that names a column of labels; None when there is no such header."""
    if len(lines) < 2:
        return None
    separator = max(",;\t", key=lines[0].count)
    header = [cell.strip().strip("\"'").lower() for cell in lines[0].split(separator)]
    names = [header.index(name) for name in _NAME_COLUMNS if name in header]
    if not names:
        return None
    rows = [row for row in rows_of(lines[1:], separator) if any(cell.strip() for cell in row)]
    numbered = [header.index(name) for name in _NUMBER_COLUMNS if name in header]
    number_column = next((at for at in numbered if _all_numbers(rows, at)), None)
    name_column = next((at for at in names if at != number_column), names[0])
    labels = [row[name_column].strip() if name_column < len(row) else "" for row in rows]
    if number_column is not None and number_column != name_column:
        numbers = [int(row[number_column]) for row in rows]
        return in_order(list(zip(numbers, labels, strict=True)))
    if len(header) > 1 and len(set(labels)) < len(labels):
        raise LabelsError(
            f"column {header[name_column]!r} repeats its values: this is a list of pictures and "
            "their labels, not of classes",
            hint="expected one row a class",
        )
    return tuple(label or f"class {number}" for number, label in enumerate(labels))


def _all_numbers(rows: list[list[str]], at: int) -> bool:
    return bool(rows) and all(at < len(row) and is_number(row[at].strip()) for row in rows)


def rows_of(lines: list[str], separator: str, quote: str = '"') -> list[list[str]]:
    """The cells of lines of CSV. Raises LabelsError."""
    try:
        rows = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True)
        return list(rows)
    except csv.Error as error:
        raise LabelsError(f"the CSV cannot be read: {error}") from error
