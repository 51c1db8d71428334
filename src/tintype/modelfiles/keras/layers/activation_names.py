"""Other names of activations: Keras' own aliases, and those that well-known packages give them.

Old files tell an activation of the author's by the name of a Python function alone. Only names
are listed here that mean one formula wherever they stand:

- ``swish``: x * sigmoid(x), Ramachandran and others, 2017; qubvel's ``efficientnet`` saved it as a
  custom object, Keras as its own function.
- ``relu6``: a custom object of MobileNet v1 in Keras 2.0 to 2.1.
- ``hard_swish``, ``h_swish``, ``hswish``: x * relu6(x + 3) / 6, and ``hsigmoid``, ``h_sigmoid``,
  ``hard_sigmoid_v3`` its gate: Howard and others, Searching for MobileNetV3, 2019.
- ``mish``: Misra, 2019.
- ``softmax_v2``, ``log_softmax_v2``: what ``tf.nn.softmax`` and ``tf.nn.log_softmax`` are called
  inside of TensorFlow 2.
- TensorFlow Addons registered its functions as ``Addons>name``. Its ``gelu`` is left out: whether
  it approximates hangs on the version, which the file does not tell.
"""

from __future__ import annotations

_ALIASES: dict[str, str] = {
    "swish": "silu",
    "Swish": "silu",
    "SiLU": "silu",
    "hard_swish": "hard_silu",
    "h_swish": "hard_silu",
    "hswish": "hard_silu",
    "HSwish": "hard_silu",
    "HardSwish": "hard_silu",
    "h_sigmoid": "hard_sigmoid_6",
    "hsigmoid": "hard_sigmoid_6",
    "HSigmoid": "hard_sigmoid_6",
    "Mish": "mish",
    "relu_6": "relu6",
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "tanhshrink": "tanh_shrink",
    "hardshrink": "hard_shrink",
    "softshrink": "soft_shrink",
}


def known_name(name: str) -> str:
    """The name by which an activation is known here; ``name`` itself where it has no other.

    A package before it (``keras.activations>relu``, ``Addons>mish``) is left out.
    """
    if name == "Addons>gelu":
        return name
    short = name.rpartition(">")[2]
    return _ALIASES.get(short, short)
