"""Operations that pick, turn and regroup numbers: slices, transpose, reshape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import argument, option, subject
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.layers.geometry import END, Cut, sliced
from tintype.modelfiles.keras.layers.shaping import permuted
from tintype.modelfiles.keras.settings import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pick:
    """What an index does with one axis: a slice of it, or one place, which drops the axis."""

    start: int | None = None
    stop: int | None = None
    step: int = 1
    drops: bool = False


_WHOLE = _Pick()
_NEW_AXIS = None


def get_item(call: LayerCall) -> Value:
    """An index such as ``x[..., ::-1]``, ``x[:, 0]`` or ``x[:, None]``."""
    value = subject(call)
    spec = call.kwargs.get("slice_spec", call.kwargs.get("key"))
    if spec is None and len(call.args) > 1:
        spec = call.args[1]
    items = spec if isinstance(spec, list) else [spec]
    picks, new_axes = _picks(call, value, items)
    value = _cut(call, value, [pick for pick in picks if pick is not _NEW_AXIS])
    return _with_axes(call, value, picks) if new_axes else value


def _picks(call: LayerCall, value: Value, items: list[Any]) -> tuple[list[_Pick | None], bool]:
    """One entry an axis of the tensor, and a None for every axis that is new."""
    consumed = sum(item is not None and not _is_ellipsis(item) for item in items)
    found: list[_Pick | None] = []
    for item in items:
        if _is_ellipsis(item):
            found += [_WHOLE] * (value.rank - consumed)
        elif item is None:
            found.append(_NEW_AXIS)
        else:
            found.append(_one_pick(call, item))
    missing = value.rank - sum(pick is not _NEW_AXIS for pick in found)
    if missing < 0:
        raise ModelFileDamaged(f"operation {call.name!r} slices more axes than there are")
    return found + [_WHOLE] * missing, any(pick is _NEW_AXIS for pick in found)


def _is_ellipsis(item: Any) -> bool:
    return item == "..." or (isinstance(item, dict) and item.get("class_name") == "__ellipsis__")


def _one_pick(call: LayerCall, item: Any) -> _Pick:
    body = item
    if isinstance(item, int) and not isinstance(item, bool):
        return _Pick(start=item, drops=True)
    if isinstance(item, dict) and item.get("class_name") == "__slice__":
        body = item.get("config")
    if not isinstance(body, dict):
        raise call.unsupported(f"the index {str(item)[:40]!r}")
    numbers = [body.get(key) for key in ("start", "stop", "step")]
    if not all(number is None or isinstance(number, int) for number in numbers):
        raise call.unsupported(f"the slice {str(item)[:60]!r}")
    start, stop, step = numbers
    if step == 0:
        raise ModelFileDamaged(f"operation {call.name!r} slices with step 0")
    return _Pick(start=start, stop=stop, step=1 if step is None else step)


def _cut(call: LayerCall, value: Value, picks: list[_Pick | None]) -> Value:
    cuts: list[Cut] = []
    shape, dropped = list(value.shape), []
    for axis, pick in enumerate(picks):
        if pick is None or pick == _WHOLE:
            continue
        if axis == 0:
            raise call.unsupported("a slice of the batch axis")
        length = shape[axis]
        if length is None:
            raise call.unsupported("a slice of an axis of unknown length")
        cuts.append(_as_cut(call, pick, value.position(axis), length))
        kept = slice(pick.start, pick.stop, pick.step)
        shape[axis] = 1 if pick.drops else len(range(*kept.indices(length)))
        dropped += [axis] if pick.drops else []
    if not cuts:
        return value
    name = sliced(call, value.name, cuts)
    result = call.result(name, tuple(shape), value.order)
    return _dropped(call, result, dropped) if dropped else result


def _as_cut(call: LayerCall, pick: _Pick, position: int, length: int) -> Cut:
    if pick.drops:
        start = pick.start or 0
        if not -length <= start < length:
            raise ModelFileDamaged(f"operation {call.name!r} takes place {start} of {length}")
        return Cut(axis=position, start=start % length, stop=start % length + 1)
    forward = pick.step > 0
    return Cut(
        axis=position,
        start=_bound(pick.start, default=0 if forward else END),
        stop=_bound(pick.stop, default=END if forward else -END),
        step=pick.step,
    )


def _bound(given: int | None, *, default: int) -> int:
    return default if given is None else given


def _dropped(call: LayerCall, value: Value, axes: list[int]) -> Value:
    positions = sorted(value.position(axis) for axis in axes)
    name = call.emit("Squeeze", (value.name, call.graph.shape_constant(positions)), "dropped")
    left = [axis for axis in value.order if axis not in axes]
    kept = sorted(left)
    shape = tuple(value.shape[axis] for axis in kept)
    return call.result(name, shape, tuple(kept.index(axis) for axis in left))


def _with_axes(call: LayerCall, value: Value, picks: list[_Pick | None]) -> Value:
    """New axes where the index says None."""
    flat = call.graph.as_keras(value)
    axes: list[int] = []
    place = 0
    for pick in picks:
        if pick is _NEW_AXIS:
            axes.append(place)
        if pick is None or not pick.drops:
            place += 1
    if 0 in axes:
        raise call.unsupported("a new axis in front of the batch axis")
    rest = list(flat.shape)
    shape = tuple(1 if axis in axes else rest.pop(0) for axis in range(place))
    name = call.emit("Unsqueeze", (flat.name, call.graph.shape_constant(axes)), "widened")
    return call.result(name, shape)


def transpose(call: LayerCall) -> Value:
    """Only the meaning of the axes changes; nothing moves until an order is asked for."""
    value = subject(call)
    axes = argument(call, "perm", "axes", place=1)
    if isinstance(axes, list):
        axes = [axis % value.rank if isinstance(axis, int) else axis for axis in axes]
    if not isinstance(axes, list) or sorted(axes) != list(range(value.rank)) or axes[0] != 0:
        raise call.unsupported(f"a transposition by {axes!r:.60}")
    return permuted(call, value, axes)


def reshape(call: LayerCall) -> Value:
    """A reshape that leaves the batch axis free; one length may be -1."""
    value = subject(call)
    target = plain(call.kwargs.get("shape", option(call, "newshape", default=None)))
    if target is None and len(call.args) > 1:
        target = call.args[1]
    good = isinstance(target, list) and target and all(_is_length(item) for item in target[1:])
    if not good or not _is_length(target[0]):
        raise call.unsupported(f"a reshape to {target!r:.60}")
    return call.reshaped(value, (value.shape[0], *_lengths(call, value, target)))


def _is_length(item: Any) -> bool:
    return item is None or (isinstance(item, int) and not isinstance(item, bool))


def _lengths(call: LayerCall, value: Value, target: list[int | None]) -> tuple[int | None, ...]:
    """The lengths behind the batch axis. Where another one is -1, the first must be the batch."""
    known = value.shape[1:]
    total = None if None in known else math.prod(length or 1 for length in known)
    rest = [-1 if length is None else length for length in target[1:]]
    if any(length < 1 and length != -1 for length in rest) or rest.count(-1) > 1:
        raise call.unsupported(f"a reshape to {target!r:.60}")
    told = math.prod(length for length in rest if length != -1)
    if -1 in rest and target[0] not in {-1, None}:
        raise call.unsupported(f"a reshape to {target!r:.60}, a batch of its own")
    if total is None:
        if -1 not in rest:
            raise call.unsupported(f"a reshape of unknown lengths to {target!r:.60}")
        return tuple(None if length == -1 else length for length in rest)
    if total % told or (-1 not in rest and total != told):
        raise call.unsupported(f"a reshape of {total} numbers a picture to {target!r:.60}")
    return tuple(total // told if length == -1 else length for length in rest)
