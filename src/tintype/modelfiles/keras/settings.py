"""A layer's settings, read with suspicion: typed access that names the layer when it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tintype.errors import ModelFileDamaged, UnsupportedModel

_MAX_LENGTH = 1 << 31


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``config`` of one layer. ``layer`` is its name, for messages.

    Every reader takes the default that Keras has where a key is absent, and raises
    ModelFileDamaged where the value is of the wrong kind.
    """

    layer: str
    values: Mapping[str, Any]

    def raw(self, key: str, default: Any = None) -> Any:
        """The value as it stands in the file."""
        return self.values.get(key, default)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number within 32 bits."""
        return self._integer(key, self._present(key, default))

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number; Keras 2 stores some of them as numpy scalars or arrays of one."""
        value = plain(self._present(key, default))
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number")
        try:
            result = float(value)
        except OverflowError as error:
            raise self._wrong(key, value, "a finite number") from error
        if not math.isfinite(result):
            raise self._wrong(key, value, "a finite number")
        return result

    def optional_number(self, key: str) -> float | None:
        """A number, or None where it is absent or null."""
        return None if self.values.get(key) is None else self.number(key)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise self._wrong(key, value, "true or false")
        return bool(value)

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self._present(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of the allowed words, in lower case; another one is a thing we cannot do."""
        value = self.values.get(key)
        word = default if value is None else self.text(key).lower()
        if word not in allowed:
            raise UnsupportedModel(
                f"layer {self.layer!r} has {key} {word!r}; known are {', '.join(allowed)}"
            )
        return word

    def integers(
        self, key: str, count: int, default: int | tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """``count`` whole numbers; one number alone stands for all of them."""
        value = self._present(key, default)
        if isinstance(value, list | tuple):
            numbers = tuple(self._integer(key, item) for item in value)
        else:
            numbers = (self._integer(key, value),) * count
        if len(numbers) != count:
            raise self._wrong(key, value, f"{count} whole numbers")
        return numbers

    def sizes(
        self, key: str, count: int, default: int | tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """As ``integers``, each of them at least 1."""
        numbers = self.integers(key, count, default)
        if min(numbers, default=1) < 1:
            raise self._wrong(key, list(numbers), "numbers of at least 1")
        return numbers

    def integer_list(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Whole numbers, as many as there are; one number alone is a list of one."""
        value = plain(self._present(key, default))
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(self._integer(key, item) for item in items)

    def numbers(self, key: str, default: float | None = None) -> tuple[float, ...]:
        """Finite numbers, as many as there are, nested lists flattened."""
        flat: list[float] = []
        pending = [plain(self._present(key, default))]
        while pending:
            item = pending.pop()
            if isinstance(item, list | tuple):
                pending.extend(reversed(item))
            elif isinstance(item, int | float) and math.isfinite(item):
                flat.append(float(item))
            else:
                raise self._wrong(key, item, "numbers")
        if not flat:
            raise self._wrong(key, [], "numbers")
        return tuple(flat)

    def _present(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            raise ModelFileDamaged(f"layer {self.layer!r} has no {key}")
        return value

    def _integer(self, key: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _MAX_LENGTH:
            raise self._wrong(key, value, "a whole number below 2^31")
        return value

    def _wrong(self, key: str, value: Any, expected: str) -> ModelFileDamaged:
        return ModelFileDamaged(
            f"layer {self.layer!r} has {key} {str(value)[:80]!r}; expected {expected}"
        )


def plain(value: Any) -> Any:
    """What a wrapped value holds: Keras writes tuples, arrays and numpy scalars as dictionaries.

    Forms: ``{"class_name": "__tuple__", "items": [...]}`` (also ``__numpy__``, ``__tensor__``
    with ``config.value``), ``{"type": "ndarray", "value": [...]}`` (Keras 2).
    """
    if not isinstance(value, dict):
        return value
    if "items" in value:
        return value["items"]
    if "value" in value:
        return value["value"]
    inner = value.get("config")
    if isinstance(inner, dict) and "value" in inner:
        return inner["value"]
    return value
