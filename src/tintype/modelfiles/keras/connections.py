"""How the layers of a Keras model are connected: calls, their arguments and the tensors in them.

Two forms: ``[name, node, tensor, kwargs]`` (Keras 2; keras ``legacy/saving/serialization.py``,
tf_keras ``engine/functional.py``), and ``args`` and ``kwargs`` with ``__keras_tensor__`` (Keras 3;
keras ``models/functional.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.settings import plain

_MAX_DEPTH = 32
_TENSOR = "__keras_tensor__"
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True, slots=True)
class Ref:
    """One tensor: the output number ``tensor`` of call number ``node`` of a layer."""

    layer: str
    node: int
    tensor: int


Argument: TypeAlias = Any
"""A ``Ref``, a constant, or a list or dictionary of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConfig:
    """One use of a layer: what it is called with."""

    args: tuple[Argument, ...] = ()
    kwargs: Mapping[str, Argument] = field(default_factory=dict)

    def refs(self) -> tuple[Ref, ...]:
        """Every tensor among the arguments, in order."""
        return tuple(_refs_in([*self.args, *self.kwargs.values()]))


def parse_call(node: Any) -> CallConfig:
    """One entry of ``inbound_nodes``. Raises ModelFileDamaged where it makes no sense."""
    if isinstance(node, dict):
        args = node.get("args", [])
        kwargs = node.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ModelFileDamaged("a connection between layers has neither args nor kwargs")
        return CallConfig(
            args=tuple(_argument(arg) for arg in args),
            kwargs={key: _argument(value) for key, value in kwargs.items()},
        )
    if not isinstance(node, list) or not node:
        raise ModelFileDamaged(f"a connection between layers makes no sense: {str(node)[:80]}")
    if isinstance(node[0], str):  # one tensor, not wrapped in a list: TFOpLambda of Keras 2
        ref, kwargs = _keras2_tensor(node)
        return CallConfig(args=(ref,), kwargs=kwargs)
    tensors = [_keras2_tensor(item) for item in node]
    refs = [ref for ref, _ in tensors]
    args = (refs[0],) if len(refs) == 1 else (refs,)
    return CallConfig(args=args, kwargs=tensors[0][1])


def _keras2_tensor(item: Any) -> tuple[Argument, dict[str, Argument]]:
    if not isinstance(item, list) or len(item) not in {3, 4}:
        raise ModelFileDamaged(f"a connection between layers makes no sense: {str(item)[:80]}")
    kwargs = item[3] if len(item) == 4 else {}
    if not isinstance(kwargs, dict):
        raise ModelFileDamaged(f"a connection between layers makes no sense: {str(item)[:80]}")
    more = {key: _keras2_argument(value) for key, value in kwargs.items()}
    if item[0] == _CONSTANT:
        return plain(item[2]), more
    return _ref(item), more


def _keras2_argument(value: Any) -> Argument:
    if _looks_like_ref(value):
        return Ref(value[0], value[1], value[2])
    if isinstance(value, list) and value and all(_looks_like_ref(item) for item in value):
        return [Ref(item[0], item[1], item[2]) for item in value]
    return plain(value) if isinstance(value, dict) and "slice" not in value else value


def _looks_like_ref(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) and not isinstance(number, bool) for number in value[1:])
        and value[0] != _CONSTANT
    )


def _ref(item: Any) -> Ref:
    if not isinstance(item, list) or not _looks_like_ref(item[:3]) or min(item[1:3]) < 0:
        raise ModelFileDamaged(f"a connection between layers makes no sense: {str(item)[:80]}")
    return Ref(item[0], item[1], item[2])


def _argument(value: Any, depth: int = 0) -> Argument:
    """A Keras 3 argument: tensors become ``Ref``, slices stay dictionaries, lists are walked."""
    if depth > _MAX_DEPTH:
        raise ModelFileDamaged("the arguments of a layer are nested too deeply")
    if isinstance(value, list):
        return [_argument(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == _TENSOR:
        config = value.get("config")
        return _ref(config.get("keras_history") if isinstance(config, dict) else None)
    if value.get("class_name") == "__tuple__":
        return [_argument(item, depth + 1) for item in as_list(value.get("items"), "a tuple")]
    return plain(value)


def _refs_in(values: Any) -> list[Ref]:
    found: list[Ref] = []
    for value in values:
        if isinstance(value, Ref):
            found.append(value)
        elif isinstance(value, list):
            found.extend(_refs_in(value))
    return found


def parse_endpoints(value: Any) -> tuple[Ref, ...]:
    """Inputs or outputs: one reference, a list of them, or a dictionary of them."""
    if isinstance(value, dict):
        return tuple(ref for item in value.values() for ref in parse_endpoints(item))
    if isinstance(value, list) and value and isinstance(value[0], str):
        return (_ref(value),)
    if isinstance(value, list):
        return tuple(_ref(item) for item in value)
    raise ModelFileDamaged(f"inputs or outputs make no sense: {str(value)[:80]}")


def as_list(value: Any, where: str) -> list[Any]:
    """``value``, which must be a list; ``where`` is for the message."""
    if not isinstance(value, list):
        raise ModelFileDamaged(f"{where}: expected a list, found {str(value)[:80]!r}")
    return value
