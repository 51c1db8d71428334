"""A graph seen from the tensors that are to be read: what they need, and who uses what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tintype.modelfiles.tensorflow.constants import Constants
from tintype.modelfiles.tensorflow.flow import FlatNode, Flow, Ref, Use
from tintype.modelfiles.tensorflow.shapes import Shapes, infer_shapes
from tintype.types import Shape

_NO_DATA = {"Shape", "ShapeN", "Size", "Rank", "Assert", "NoOp", "ImageSummary", "ImageSummaryV2"}
"""Users of a tensor that do not look at its values."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The part of a graph that the outputs depend on, with inferred shapes."""

    flow: Flow
    constants: Constants
    ancestors: Mapping[str, FlatNode]
    uses: Mapping[Ref, list[Use]]
    shapes: Shapes

    def data_uses(self, ref: Ref) -> list[Use]:
        """Who takes the values of ``ref``."""
        uses = self.uses.get(self.flow.resolve(ref), [])
        return [(node, index) for node, index in uses if node.op not in _NO_DATA]

    def shape(self, ref: Ref) -> Shape | None:
        """The tensor's shape, as far as it can be inferred."""
        return self.shapes.get(self.flow.resolve(ref))


def look(
    constants: Constants,
    outputs: Iterable[Ref],
    *,
    given: Mapping[Ref, Shape] | None = None,
    stop: Ref | None = None,
) -> Reading:
    """What ``outputs`` depend on, looking no further than the tensor ``stop``.

    ``given``: shapes that are told outside the graph.
    """
    flow = constants.flow
    ancestors = flow.ancestors(outputs, stop=stop)
    shapes = infer_shapes(constants, ancestors, given or {})
    return Reading(flow, constants, ancestors, flow.uses(ancestors), shapes)
