"""Windows that slide over a picture: output sizes and paddings of convolutions and poolings.

TensorFlow's rule for ``same`` (its padding notes, ``tf.nn``): the output has ceil(n / stride)
places, what is missing is added on both sides, and an odd one at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tintype.modelfiles.keras.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Sizes of the sliding window along each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str

    @property
    def reach(self) -> tuple[int, ...]:
        """How many places a window covers, gaps included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def output(self, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The output's spatial sizes for an input of ``sizes``."""
        return tuple(
            None if size is None else self._places(size, stride, reach)
            for size, stride, reach in zip(sizes, self.strides, self.reach, strict=True)
        )

    def attributes(self, sizes: tuple[int | None, ...]) -> dict[str, Any]:
        """The ONNX attributes for strides and padding."""
        window: dict[str, Any] = {"kernel_shape": self.kernel, "strides": self.strides}
        if any(dilation != 1 for dilation in self.dilations):
            window["dilations"] = self.dilations
        if self.padding == "valid":
            return window
        pads = [
            self._missing(size, stride, reach)
            for size, stride, reach in zip(sizes, self.strides, self.reach, strict=True)
        ]
        if any(total is None for total in pads):
            return window | {"auto_pad": "SAME_UPPER"}
        totals = [total or 0 for total in pads]
        if self.padding == "causal":
            return window | {"pads": (*totals, *(0 for _ in totals))}
        begin = tuple(total // 2 for total in totals)
        end = tuple(total - total // 2 for total in totals)
        return window | {"pads": begin + end} if any(totals) else window

    def _places(self, size: int, stride: int, reach: int) -> int:
        if self.padding == "same":
            return -(-size // stride)
        room = size if self.padding == "valid" else size + reach - 1
        return (room - reach) // stride + 1

    def _missing(self, size: int | None, stride: int, reach: int) -> int | None:
        """Places to add along an axis; None where it depends on a size not known."""
        if stride == 1 or self.padding == "causal":
            return reach - 1
        if size is None:
            return None
        return max((-(-size // stride) - 1) * stride + reach - size, 0)


def windows(settings: Settings, axes: int, *, kernel: str = "kernel_size") -> Windows:
    """The windows of a convolution over ``axes`` spatial axes, from its settings."""
    allowed = ("valid", "same", "causal") if axes == 1 else ("valid", "same")
    return Windows(
        kernel=settings.sizes(kernel, axes),
        strides=settings.sizes("strides", axes, 1),
        dilations=settings.sizes("dilation_rate", axes, 1),
        padding=settings.choice("padding", allowed, "valid"),
    )


def data_format(settings: Settings) -> str:
    """``channels_last`` or ``channels_first``."""
    return settings.choice("data_format", ("channels_last", "channels_first"), "channels_last")
