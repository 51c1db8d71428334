"""Plain functions between layers: ``keras.ops`` (Keras 3) and TFOpLambda (Keras 2).

Keras writes ``x / 127.5 - 1`` between layers as operations of their own. They name a function of
a fixed list; nothing of it is code. To add one, write a function ``LayerCall -> Value`` and a row
below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tintype.errors import UnsupportedModel
from tintype.modelfiles.keras.graph import Value
from tintype.modelfiles.keras.layers import activation_operations as act
from tintype.modelfiles.keras.layers import elementwise as each
from tintype.modelfiles.keras.layers import images, indexing, matrices, picking, reductions, shaping
from tintype.modelfiles.keras.layers.activation_operations import plain_activation
from tintype.modelfiles.keras.layers.arguments import subject
from tintype.modelfiles.keras.layers.call import LayerCall, LayerKind
from tintype.modelfiles.keras.layers.elementwise import asked, comparison, logical, pair, single
from tintype.modelfiles.keras.layers.patches import PATCHES
from tintype.modelfiles.keras.layers.reductions import extreme_place, reduction


@dataclass(frozen=True, slots=True)
class Row:
    """A function, the classes of ``keras.ops`` it is, and its names below ``tf``."""

    kind: LayerKind
    keras: str = ""
    tensorflow: str = ""


def _kind(emit: Callable[[LayerCall], Value]) -> LayerKind:
    return LayerKind(emit)


def _many(outputs: Callable[[LayerCall], tuple[Value, ...]]) -> LayerKind:
    """A function with several answers."""
    return LayerKind(lambda call: outputs(call)[0], outputs=outputs)


_ARITHMETIC = (
    Row(pair("Add"), "Add", "math.add __operators__.add add nn.bias_add math.add_n"),
    Row(pair("Sub"), "Subtract", "math.subtract __operators__.subtract subtract"),
    Row(pair("Mul"), "Multiply", "math.multiply __operators__.multiply multiply"),
    Row(
        pair("Div"),
        "TrueDivide Divide",
        "math.truediv __operators__.truediv math.divide divide truediv realdiv",
    ),
    Row(pair("Max"), "Maximum Fmax", "math.maximum __operators__.maximum maximum"),
    Row(pair("Min"), "Minimum Fmin", "math.minimum __operators__.minimum minimum"),
    Row(pair("Pow"), "Power", "math.pow __operators__.pow pow"),
    Row(
        pair(each.floor_divide),
        "FloorDivide",
        "math.floordiv __operators__.floordiv floordiv math.floor_div floor_div",
    ),
    Row(pair(each.modulo), "Mod", "math.floormod math.mod __operators__.mod"),
    Row(pair(each.squared_difference), "", "math.squared_difference"),
    Row(pair(each.divide_no_nan), "DivideNoNan", "math.divide_no_nan"),
    Row(pair(each.hypotenuse), "Hypot"),
    Row(pair(each.log_add_exp), "Logaddexp"),
)

_TRUTH = (
    Row(comparison("Equal"), "Equal", "math.equal __operators__.eq equal"),
    Row(comparison("Equal", negated=True), "NotEqual", "math.not_equal __operators__.ne not_equal"),
    Row(comparison("Greater"), "Greater", "math.greater __operators__.gt greater"),
    Row(comparison("GreaterOrEqual"), "GreaterEqual", "math.greater_equal __operators__.ge"),
    Row(comparison("Less"), "Less", "math.less __operators__.lt less"),
    Row(comparison("LessOrEqual"), "LessEqual", "math.less_equal __operators__.le"),
    Row(logical("And"), "LogicalAnd", "math.logical_and __operators__.and"),
    Row(logical("Or"), "LogicalOr", "math.logical_or __operators__.or"),
    Row(logical("Xor"), "LogicalXor", "math.logical_xor"),
    Row(single(each.logical_not), "LogicalNot", "math.logical_not __operators__.invert"),
    Row(asked("IsNaN"), "Isnan", "math.is_nan"),
    Row(single(each.is_infinite), "Isinf", "math.is_inf"),
    Row(single(each.is_finite), "Isfinite", "math.is_finite"),
    Row(_kind(each.where), "Where", "where"),
)

_SINGLE = (
    Row(single("Sqrt"), "Sqrt", "math.sqrt sqrt"),
    Row(single("Exp"), "Exp", "math.exp exp"),
    Row(single("Log"), "Log", "math.log"),
    Row(single("Neg"), "Negative", "math.negative __operators__.neg negative"),
    Row(single("Abs"), "Absolute Abs Fabs", "math.abs __operators__.abs abs"),
    Row(single("Erf"), "Erf", "math.erf"),
    Row(single(each.erfc), "Erfc", "math.erfc"),
    Row(single("Sin"), "Sin", "math.sin sin"),
    Row(single("Cos"), "Cos", "math.cos cos"),
    Row(single("Tan"), "Tan", "math.tan tan"),
    Row(single("Asin"), "Arcsin", "math.asin asin"),
    Row(single("Acos"), "Arccos", "math.acos acos"),
    Row(single("Atan"), "Arctan", "math.atan atan"),
    Row(single("Sinh"), "Sinh", "math.sinh sinh"),
    Row(single("Cosh"), "Cosh", "math.cosh cosh"),
    Row(single("Asinh"), "Arcsinh", "math.asinh asinh"),
    Row(single("Acosh"), "Arccosh", "math.acosh acosh"),
    Row(single("Atanh"), "Arctanh", "math.atanh atanh"),
    Row(single("Floor"), "Floor", "math.floor floor"),
    Row(single("Ceil"), "Ceil", "math.ceil"),
    Row(_kind(each.rounded), "Round", "math.round round math.rint"),
    Row(single("Sign"), "Sign", "math.sign sign"),
    Row(single(each.trunc), "Trunc"),
    Row(single("Reciprocal"), "Reciprocal", "math.reciprocal"),
    Row(single(each.square), "Square", "math.square square"),
    Row(single(each.rsqrt), "Rsqrt", "math.rsqrt"),
    Row(single(each.log1p), "Log1p", "math.log1p"),
    Row(single(each.expm1), "Expm1", "math.expm1"),
    Row(single(each.exp2), "Exp2"),
    Row(single(each.log_to(2)), "Log2"),
    Row(single(each.log_to(10)), "Log10"),
    Row(single(each.scaled(0.017453292519943295)), "Deg2rad"),
    Row(single(each.scaled(57.29577951308232)), "Rad2deg"),
    Row(_kind(each.clipped), "Clip", "clip_by_value"),
    Row(_kind(each.cast), "Cast SaturateCast", "cast saturate_cast dtypes.saturate_cast"),
    Row(_kind(each.nan_to_num), "NanToNum"),
    Row(each.alike(0.0), "ZerosLike", "zeros_like"),
    Row(each.alike(1.0), "OnesLike", "ones_like"),
    Row(each.alike(None), "FullLike"),
    Row(
        _kind(subject),
        "Identity Copy StopGradient ConvertToTensor Array",
        "identity stop_gradient convert_to_tensor ensure_shape debugging.check_numerics",
    ),
)

_ACTIVATIONS = (
    Row(act.RELU, "Relu", "nn.relu"),
    Row(plain_activation("relu6"), "Relu6", "nn.relu6"),
    Row(plain_activation("sigmoid"), "Sigmoid", "nn.sigmoid math.sigmoid sigmoid"),
    Row(plain_activation("tanh"), "Tanh", "nn.tanh math.tanh tanh"),
    Row(plain_activation("silu"), "Silu", "nn.silu nn.swish"),
    Row(plain_activation("selu"), "Selu", "nn.selu"),
    Row(plain_activation("softplus"), "Softplus", "nn.softplus math.softplus"),
    Row(plain_activation("softsign"), "Softsign", "nn.softsign"),
    Row(plain_activation("log_sigmoid"), "LogSigmoid", "math.log_sigmoid"),
    Row(plain_activation("hard_silu"), "HardSilu"),
    Row(plain_activation("hard_sigmoid_6"), "HardSigmoid"),
    Row(plain_activation("hard_tanh"), "HardTanh"),
    Row(plain_activation("tanh_shrink"), "TanhShrink"),
    Row(plain_activation("sparse_plus"), "SparsePlus"),
    Row(plain_activation("sparse_sigmoid"), "SparseSigmoid"),
    Row(act.SOFTMAX, "Softmax", "nn.softmax"),
    Row(act.LOG_SOFTMAX, "LogSoftmax", "nn.log_softmax"),
    Row(act.SPARSEMAX, "Sparsemax"),
    Row(act.LEAKY_RELU, "LeakyRelu", "nn.leaky_relu"),
    Row(act.ELU, "Elu", "nn.elu"),
    Row(act.CELU, "Celu"),
    Row(act.GELU_OF_KERAS, "Gelu"),
    Row(act.GELU_OF_TENSORFLOW, "", "nn.gelu"),
    Row(act.GLU, "Glu"),
    Row(act.HARD_SHRINK, "HardShrink"),
    Row(act.SOFT_SHRINK, "SoftShrink"),
    Row(act.SQUAREPLUS, "Squareplus"),
    Row(act.THRESHOLD, "Threshold"),
)

_REDUCTIONS = (
    Row(reduction("ReduceMean"), "Mean", "math.reduce_mean"),
    Row(reduction("ReduceMax"), "Max Amax", "math.reduce_max"),
    Row(reduction("ReduceMin"), "Min Amin", "math.reduce_min"),
    Row(reduction("ReduceSum"), "Sum", "math.reduce_sum"),
    Row(reduction("ReduceProd"), "Prod", "math.reduce_prod"),
    Row(reduction(reductions.log_sum_exp), "Logsumexp", "math.reduce_logsumexp"),
    Row(reduction(reductions.variance), "Var", "math.reduce_variance"),
    Row(reduction(reductions.deviation), "Std", "math.reduce_std"),
    Row(reduction(reductions.every), "All", "math.reduce_all"),
    Row(reduction(reductions.some), "Any", "math.reduce_any"),
    Row(reduction(reductions.count_nonzero), "CountNonzero", "math.count_nonzero"),
    Row(reduction(reductions.spread_of), "Ptp"),
    Row(reduction(reductions.euclidean_norm), "", "math.reduce_euclidean_norm"),
    Row(extreme_place("ArgMax"), "Argmax", "math.argmax argmax"),
    Row(extreme_place("ArgMin"), "Argmin", "math.argmin argmin"),
    Row(_kind(reductions.running_sum), "Cumsum", "math.cumsum cumsum"),
    Row(_kind(reductions.normalised), "Normalize"),
    Row(_kind(reductions.l2_normalised), "", "math.l2_normalize nn.l2_normalize"),
    Row(_many(reductions.moments), "Moments", "nn.moments"),
)

_SHAPES = (
    Row(_kind(indexing.get_item), "GetItem", "__operators__.getitem"),
    Row(_kind(indexing.transpose), "Transpose", "transpose"),
    Row(_kind(indexing.reshape), "Reshape", "reshape"),
    Row(_kind(shaping.expand_dims), "ExpandDims", "expand_dims"),
    Row(_kind(shaping.squeeze), "Squeeze", "squeeze"),
    Row(_kind(shaping.concat), "Concatenate", "concat"),
    Row(PATCHES, "ExtractPatches", "image.extract_patches"),
    Row(_kind(shaping.stack), "Stack", "stack"),
    Row(_many(shaping.unstack), "Unstack", "unstack"),
    Row(_many(shaping.split), "Split", "split"),
    Row(_kind(shaping.tile), "Tile", "tile"),
    Row(_kind(shaping.repeat), "Repeat", "repeat"),
    Row(shaping.flip(), "Flip", "reverse"),
    Row(shaping.flip((1,)), "Fliplr"),
    Row(shaping.flip((1,)), "", "image.flip_up_down"),
    Row(shaping.flip((2,)), "", "image.flip_left_right"),
    Row(_kind(shaping.roll), "Roll", "roll"),
    Row(_kind(shaping.moveaxis), "Moveaxis"),
    Row(_kind(shaping.swapaxes), "Swapaxes"),
    Row(_kind(shaping.pad), "Pad", "pad"),
    Row(_kind(picking.take), "Take", "gather"),
    Row(_kind(picking.take_along_axis), "TakeAlongAxis"),
    Row(_kind(picking.one_hot), "OneHot", "one_hot"),
    Row(matrices.triangle("tril"), "Tril"),
    Row(matrices.triangle("triu"), "Triu"),
    Row(_kind(shaping.broadcast_to), "BroadcastTo", "broadcast_to"),
    Row(shaping.blocks("DepthToSpace"), "DepthToSpace", "nn.depth_to_space"),
    Row(shaping.blocks("SpaceToDepth"), "SpaceToDepth", "nn.space_to_depth space_to_depth"),
    Row(_kind(matrices.matmul), "Matmul", "linalg.matmul matmul __operators__.matmul"),
    Row(_many(picking.top_k), "TopK", "math.top_k nn.top_k"),
    Row(_kind(picking.ordered), "Sort", "sort"),
)

_PICTURES = (
    Row(_kind(images.resize_keras), "Resize"),
    Row(images.resize_tensorflow(), "", "image.resize"),
    Row(_kind(images.crop_images), "CropImages"),
    Row(_kind(images.pad_images), "PadImages"),
    Row(_kind(images.crop_to_box), "", "image.crop_to_bounding_box"),
    Row(_kind(images.pad_to_box), "", "image.pad_to_bounding_box"),
    Row(_kind(images.to_grey), "RGBToGrayscale", "image.rgb_to_grayscale"),
    Row(_kind(images.to_rgb), "", "image.grayscale_to_rgb"),
    Row(_kind(images.standardised), "", "image.per_image_standardization"),
    Row(
        _kind(images.response_normalised),
        "",
        "nn.local_response_normalization nn.lrn",
    ),
    Row(images.pooled("MaxPool"), "MaxPool", "nn.max_pool2d nn.max_pool"),
    Row(images.pooled("AveragePool"), "AveragePool", "nn.avg_pool2d nn.avg_pool"),
)

ROWS = (
    *_ARITHMETIC,
    *_TRUTH,
    *_SINGLE,
    *_ACTIVATIONS,
    *_REDUCTIONS,
    *_SHAPES,
    *_PICTURES,
)
"""Every function that can be read."""

FUNCTIONS: dict[str, LayerKind] = {
    name: row.kind for row in ROWS for name in row.tensorflow.split()
}
"""By the name below ``tf`` that Keras 2 writes."""


def _function(call: LayerCall) -> LayerKind:
    function = call.settings.raw("function")
    name = function.removeprefix("compat.v1.") if isinstance(function, str) else ""
    kind = FUNCTIONS.get(name)
    if kind is None:
        raise UnsupportedModel(
            f"layer {call.name!r} is the TensorFlow function {function!r:.60}, which is not known "
            "here",
            hint="export the model as ONNX or as a SavedModel instead",
        )
    return kind


def _first_output(call: LayerCall) -> Value:
    return _function(call).emit(call)


def _outputs(call: LayerCall) -> tuple[Value, ...]:
    kind = _function(call)
    return (kind.emit(call),) if kind.outputs is None else kind.outputs(call)


_TENSORFLOW = LayerKind(_first_output, outputs=_outputs)

OPERATION_LAYERS: dict[str, LayerKind] = {
    "TFOpLambda": _TENSORFLOW,
    "SlicingOpLambda": _TENSORFLOW,
    **{f"op:{name}": row.kind for row in ROWS for name in row.keras.split()},
}
