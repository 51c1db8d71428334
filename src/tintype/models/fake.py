"""Hosts without models, for tests of what serves them: ours and yours."""

from __future__ import annotations

from pathlib import Path

from tintype.batching.policy import BatchPolicy
from tintype.engines.engine import EngineOptions
from tintype.engines.fake import PICTURES, FakeEngine
from tintype.errors import ModelFileDamaged
from tintype.imaging.recipe import parse_recipe
from tintype.modelfiles.description import ModelDescription
from tintype.models.card import Card
from tintype.models.host import ModelHost
from tintype.models.plan import ModelPlan
from tintype.types import (
    Activation,
    ClassOutput,
    Format,
    Graph,
    ImageInput,
    Layout,
    TensorSpec,
)

COLOURS = ("red", "green", "blue")
SCORES = TensorSpec(name="scores", shape=(None, 3))
_HEAD = b"\x18\x00\x00\x00TFL3"
DAMAGED = b"damaged"
"""Content that ``load_fake`` refuses."""


def put_fake_model(path: Path, content: bytes = b"") -> Path:
    """Write a file that is told to be a TFLite model by its first bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_HEAD + content + bytes(64))
    return path


def fake_plan(card: Card) -> ModelPlan:
    """Red, green or blue on 8 x 8 pixels, 0..1."""
    target = ImageInput(tensor=PICTURES, layout=Layout.NHWC, height=8, width=8, channels=3)
    return ModelPlan(
        card=card,
        description=ModelDescription(
            path=card.file,
            format=Format.ONNX,
            writer=None,
            image=target,
            output=ClassOutput(tensor=SCORES, classes=3, activation=Activation.SOFTMAX),
            graph=Graph(format=Format.ONNX, source=b"", input=PICTURES, outputs=(SCORES,)),
        ),
        target=target,
        labels=COLOURS,
        labels_source="none",
        recipe=parse_recipe({"preset": "raw", "values": "x/255", "geometry": "stretch"}),
        recipe_is_guess=False,
        recipe_reasons=(),
        recipe_override="",
        engine="fake",
        engine_reason="",
        top=3,
        threshold=None,
        warnings=(),
    )


def fake_host(card: Card, engine: FakeEngine | None = None) -> ModelHost:
    """Its host, not entered."""
    return ModelHost(
        fake_plan(card),
        policy=BatchPolicy(),
        options=EngineOptions(),
        engine=engine or FakeEngine(),
    )


async def load_fake(card: Card) -> ModelHost:
    """A card to an entered host, as ``Loader.load_card``. Raises ModelFileDamaged if it says so."""
    if DAMAGED in card.file.read_bytes():
        raise ModelFileDamaged(f"{card.file.name} is damaged")
    return await fake_host(card).__aenter__()
