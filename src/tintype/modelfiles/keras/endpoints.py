"""Models of several inputs, cut down to what one picture is enough for."""

from __future__ import annotations

from dataclasses import replace

from tintype.errors import ModelFileDamaged
from tintype.modelfiles.keras.config import ModelConfig
from tintype.modelfiles.keras.connections import Ref


def cut_to_one_input(
    model: ModelConfig,
    *,
    input: str | None,  # noqa: A002 - the name of the flag
    output: str | None,
) -> tuple[ModelConfig, tuple[str, ...]]:
    """``model`` with the outputs that follow from one input alone, and a note on what was cut.

    A model of one input comes back as it is, and so does one whose every output needs several
    inputs: choosing the picture among them is not possible. ``input`` and ``output`` are names
    given by a person.
    """
    if len(model.inputs) < 2:
        return model, ()
    needs = [_inputs_of(model, ref) for ref in model.outputs]
    if input is not None and input.removesuffix(":0") not in {ref.layer for ref in model.inputs}:
        return model, ()
    wanted = input.removesuffix(":0") if input is not None else None
    kept = [
        number
        for number, names in enumerate(needs)
        if len(names) == 1 and (wanted is None or names == {wanted})
    ]
    if output is not None:
        kept = [n for n in kept if model.output_names[n] == output.removesuffix(":0")]
    kept = [number for number in kept if needs[number] == needs[kept[0]]]
    if not kept:
        return model, ()
    (name,) = needs[kept[0]]
    others = ", ".join(ref.layer for ref in model.inputs if ref.layer != name)
    answers = ", ".join(model.output_names[number] for number in kept)
    note = f"only the input {name!r} is used, which {answers} follow from; left out: {others}"
    cut = replace(
        model,
        inputs=tuple(ref for ref in model.inputs if ref.layer == name),
        outputs=tuple(model.outputs[number] for number in kept),
        output_names=tuple(model.output_names[number] for number in kept),
    )
    return cut, (note,)


def _inputs_of(model: ModelConfig, output: Ref) -> frozenset[str]:
    """The names of the inputs that an output is computed from."""
    layers = {layer.name: layer for layer in model.layers}
    inputs = {ref.layer for ref in model.inputs}
    seen: set[tuple[str, int]] = set()
    pending = [output]
    while pending:
        ref = pending.pop()
        if (ref.layer, ref.node) in seen:
            continue
        seen.add((ref.layer, ref.node))
        layer = layers.get(ref.layer)
        if layer is None:
            raise ModelFileDamaged(f"the model takes a tensor from {ref.layer!r}, which is missing")
        if ref.layer not in inputs and ref.node < len(layer.calls):
            pending.extend(layer.calls[ref.node].refs())
    return frozenset(name for name, _ in seen if name in inputs)
