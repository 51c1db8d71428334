"""Pooling. Averages leave the padding out, as TensorFlow does."""

from __future__ import annotations

from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.convolution import channels_of, picture, picture_shape
from tintype.modelfiles.keras.layers.masks import as_condition, mask_of
from tintype.modelfiles.keras.layers.windows import Windows, data_format


def _pooling(op: str, axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = picture(call, axes)
        window = _windows(call, axes)
        sizes = value.stored_shape[2:]
        attributes = window.attributes(sizes)
        if op == "AveragePool":
            attributes["count_include_pad"] = 0
        name = call.emit(op, (value.name,), **attributes)
        shape = picture_shape(value, channels_of(call), window.output(sizes))
        return call.result(name, shape, value.order)

    return LayerKind(emit)


def _windows(call: LayerCall, axes: int) -> Windows:
    settings = call.settings
    # Keras 1D layers of old call the window pool_length.
    pool = settings.sizes("pool_size", axes, 2)
    return Windows(
        kernel=pool,
        strides=settings.sizes("strides", axes, pool),
        dilations=(1,) * axes,
        padding=settings.choice("padding", ("valid", "same"), "valid"),
    )


def _global_pooling(op: str, axes: int) -> LayerKind:
    def emit(call: LayerCall) -> Value:
        value = call.input_of_rank(axes + 2)
        first = 2 if data_format(call.settings) == "channels_first" else 1
        spatial = range(first, first + axes)
        keep = call.settings.flag("keepdims", default=False)
        mask = mask_of(call, value) if op == "ReduceMean" and axes == 1 else None
        if mask is not None:
            return _mean_of_steps(call, value, mask)
        name = call.emit(
            op,
            (value.name,),
            axes=tuple(sorted(value.position(axis) for axis in spatial)),
            keepdims=int(keep),
        )
        if keep:
            shape = tuple(
                1 if axis in spatial else length for axis, length in enumerate(value.shape)
            )
            return call.result(name, shape, value.order)
        return call.result(name, (value.shape[0], channels_of(call)))

    return LayerKind(emit)


def _mean_of_steps(call: LayerCall, value: Value, mask: str) -> Value:
    """The mean of the steps that count (keras ``layers/pooling/global_average_pooling1d.py``)."""
    if data_format(call.settings) == "channels_first":
        raise call.unsupported("a mask with channels_first")
    keep = call.settings.flag("keepdims", default=False)
    value = call.graph.as_keras(value)
    column = call.emit("Unsqueeze", (mask, call.graph.shape_constant((2,))), "column")
    counted = call.emit(
        "Where", (as_condition(call, mask), value.name, call.graph.scalar(0.0)), "counted"
    )
    total = call.emit(
        "ReduceSum", (counted, call.graph.shape_constant((1,))), "total", keepdims=int(keep)
    )
    number = call.emit(
        "ReduceSum", (column, call.graph.shape_constant((1,))), "number", keepdims=int(keep)
    )
    shape = (value.shape[0], *((1,) if keep else ()), value.shape[2])
    return call.result(call.emit("Div", (total, number)), shape)


POOLING_LAYERS: dict[str, LayerKind] = {
    **{f"MaxPooling{axes}D": _pooling("MaxPool", axes) for axes in (1, 2, 3)},
    **{f"AveragePooling{axes}D": _pooling("AveragePool", axes) for axes in (1, 2, 3)},
    **{f"GlobalAveragePooling{axes}D": _global_pooling("ReduceMean", axes) for axes in (1, 2, 3)},
    **{f"GlobalMaxPooling{axes}D": _global_pooling("ReduceMax", axes) for axes in (1, 2, 3)},
}
