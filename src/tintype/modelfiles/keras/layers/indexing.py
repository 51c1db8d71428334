"""Operations that pick, turn and regroup numbers: slices, transpose, reshape."""

from __future__ import annotations

from typing import Any

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.arguments import option, subject
from tintype.modelfiles.keras.layers.call import LayerCall
from tintype.modelfiles.keras.layers.geometry import END, Cut, sliced
from tintype.types import Shape


def get_item(call: LayerCall) -> Value:
    """Slices with a step, such as ``x[..., ::-1]``; a number that drops an axis is refused."""
    value = subject(call)
    spec = call.kwargs.get("slice_spec", call.kwargs.get("key"))
    if spec is None and len(call.args) > 1:
        spec = call.args[1]
    slices = _axis_slices(call, value, spec if isinstance(spec, list) else [spec])
    cuts: list[Cut] = []
    shape = list(value.shape)
    for axis, (start, stop, step) in enumerate(slices):
        if (start, stop, step) == (None, None, 1):
            continue
        if axis == 0:
            raise call.unsupported("a slice of the batch axis")
        cuts.append(
            Cut(
                axis=value.position(axis),
                start=_bound(start, default=0 if step > 0 else END),
                stop=_bound(stop, default=END if step > 0 else -END),
                step=step,
            )
        )
        length = shape[axis]
        if length is None:
            raise call.unsupported("a slice of an axis of unknown length")
        shape[axis] = len(range(*slice(start, stop, step).indices(length)))
    if not cuts:
        return value
    name = sliced(call, value.name, cuts)
    return call.result(name, tuple(shape), value.order)


def _bound(given: int | None, *, default: int) -> int:
    return default if given is None else given


def _axis_slices(
    call: LayerCall, value: Value, spec: list[Any]
) -> list[tuple[int | None, int | None, int]]:
    found: list[tuple[int | None, int | None, int]] = []
    for number, item in enumerate(spec):
        if _is_ellipsis(item):
            rest = len(spec) - number - 1
            found += [(None, None, 1)] * (value.rank - len(found) - rest)
        else:
            found.append(_one_slice(call, item))
    if len(found) > value.rank:
        raise ModelFileDamaged(f"operation {call.name!r} slices more axes than there are")
    return found


def _is_ellipsis(item: Any) -> bool:
    return item == "..." or (isinstance(item, dict) and item.get("class_name") == "__ellipsis__")


def _one_slice(call: LayerCall, item: Any) -> tuple[int | None, int | None, int]:
    body = item
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
    return start, stop, 1 if step is None else step


def transpose(call: LayerCall) -> Value:
    """Only the meaning of the axes changes; nothing moves until an order is asked for."""
    value = subject(call)
    axes = call.kwargs.get("perm", option(call, "axes", default=None))
    if axes is None and len(call.args) > 1:
        axes = call.args[1]
    if not isinstance(axes, list) or sorted(axes) != list(range(value.rank)) or axes[0] != 0:
        raise call.unsupported(f"a transposition by {axes!r:.60}")
    new_axis = {old: new for new, old in enumerate(axes)}
    shape: Shape = tuple(value.shape[axis] for axis in axes)
    return call.result(value.name, shape, tuple(new_axis[axis] for axis in value.order))


def reshape(call: LayerCall) -> Value:
    """A reshape to lengths that are all told, the batch axis left free."""
    value = subject(call)
    target = call.kwargs.get("shape", option(call, "newshape", default=None))
    if target is None and len(call.args) > 1:
        target = call.args[1]
    good = isinstance(target, list) and target and all(isinstance(n, int) for n in target[1:])
    if not good or target[0] not in {-1, None}:
        raise call.unsupported(f"a reshape to {target!r:.60}")
    rest = target[1:]
    if any(n < 1 for n in rest):
        raise call.unsupported(f"a reshape to {target!r:.60}")
    return call.reshaped(value, (value.shape[0], *rest))
