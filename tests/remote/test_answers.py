"""A remote model answers as one of ours: every kind of input and output, in both languages."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tintype.errors import MalformedRequest, NotAnImageModel, RemoteFailed
from tintype.imaging.presets import PRESETS
from tintype.models.card_reader import read_card
from tintype.models.plan import plan_model
from tintype.predict import PredictRequest
from tintype.types import Activation, Point, Task

LANGUAGES = pytest.mark.parametrize("language", ["grpc", "http"])


def softmax_of_colour(colour: tuple[int, int, int]) -> np.ndarray:
    """What the stand-in's models compute of a picture of one colour."""
    exponents = np.exp(8.0 * np.array(colour) / 255)
    return exponents / exponents.sum()


def scores_of(prediction) -> dict[str, float]:
    (result,) = prediction.results
    assert result.error is None
    return {label.label: label.score for label in result.labels}


@LANGUAGES
@pytest.mark.parametrize("model", ["colours", "raw"])
async def test_a_number_input_gets_the_tensor(
    stand_in, write_card, serve, language, model, picture
):
    """Scaled by the recipe; logits and probabilities come to the same scores."""
    card = write_card(
        model, stand_in.address(language), top='class_names = ["red", "green", "blue"]'
    )
    async with serve(card) as services:
        prediction = await services.predictor.predict(PredictRequest(image=picture((90, 50, 130))))
    expected = dict(zip(("red", "green", "blue"), softmax_of_colour((90, 50, 130)), strict=True))
    assert pytest.approx(expected, abs=1e-5) == scores_of(prediction)


@LANGUAGES
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
async def test_a_string_input_gets_the_encoded_picture(
    stand_in, write_card, serve, language, kind, picture
):
    """Formats that the remote's decoder does not take arrive as PNG; names come from the remote."""
    async with serve(write_card("encoded", stand_in.address(language))) as services:
        prediction = await services.predictor.predict(
            PredictRequest(image=picture((20, 200, 90), kind))
        )
    red, green, blue = softmax_of_colour((20, 200, 90))
    assert red < blue
    found = scores_of(prediction)
    assert ["green", "blue"] == list(found)
    assert pytest.approx([green, blue], abs=2e-2) == list(found.values())


async def test_an_encoded_picture_goes_as_it_came(stand_in, write_card, serve, picture):
    """Not one byte of an upright JPEG is changed or left out."""
    async with serve(write_card("encoded", stand_in.address("grpc"))) as services:
        data = picture(kind="JPEG")
        await services.predictor.predict(PredictRequest(image=data))
        first = stand_in.seen()["sizes"][-1]
        await services.predictor.predict(PredictRequest(image=data + bytes(10)))
    assert first + 10 == stand_in.seen()["sizes"][-1]


async def test_an_encoded_picture_is_turned_upright(stand_in, write_card, serve):
    """A decoder in a graph knows no EXIF: what is seen at a point is cut from the upright one."""
    left_red = np.zeros((40, 80, 3), np.uint8)
    left_red[:, :40] = (255, 0, 0)
    left_red[:, 40:] = (0, 0, 255)
    out, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 3  # shown turned by half a turn: blue is on the left
    Image.fromarray(left_red).save(out, "JPEG", exif=exif, quality=95)
    card = write_card("encoded", stand_in.address("grpc"))
    with (card / "model.toml").open("a") as file:
        file.write('\n[view]\nkind = "pixels"\nsize = 9\n')
    async with serve(card) as services:
        prediction = await services.predictor.predict(
            PredictRequest(image=out.getvalue(), points=(Point(x=10, y=20),))
        )
        with pytest.raises(MalformedRequest):
            await services.predictor.predict(
                PredictRequest(image=out.getvalue(), points=(Point(x=90, y=20),))
            )
    assert "blue" == next(iter(scores_of(prediction)))


@LANGUAGES
async def test_an_image_tensor_gets_the_picture_at_its_own_size(
    stand_in, write_card, serve, language, two_things
):
    """Boxes come back in pixels of the picture, with the label map's numbers from one on."""
    card = write_card("things", stand_in.address(language), top='class_names = ["red", "green"]')
    async with serve(card) as services:
        (result,) = (await services.predictor.predict(PredictRequest(image=two_things))).results
    assert [("red", 0), ("green", 1)] == [(box.label, box.index) for box in result.boxes]
    assert pytest.approx([0.9, 0.72]) == [box.score for box in result.boxes]
    corners = [(box.x1, box.y1, box.x2, box.y2) for box in result.boxes]
    np.testing.assert_allclose(corners, [(20, 10, 60, 50), (120, 40, 180, 90)], rtol=1e-6)


async def test_threshold_top_and_explain_are_ours(stand_in, write_card, serve, picture):
    """A remote model takes every option that a file takes."""
    async with serve(write_card("encoded", stand_in.address("grpc"))) as services:
        asked = PredictRequest(image=picture(), threshold=0.5, explain=frozenset({"input"}))
        (result,) = (await services.predictor.predict(asked)).results
        assert ["red"] == [label.label for label in result.labels]
        assert ((48, 64, 3), "uint8") == (result.input.shape, result.input.dtype)


@LANGUAGES
def test_the_plan_says_what_the_signature_says(stand_in, write_card, language):
    """Input, output, recipe and engine, each with its reason, before anything is served."""
    plan = plan_model(read_card(write_card("things", stand_in.address(language)) / "model.toml"))
    assert (Task.DETECT, "tfserving", "tf-od") == (plan.task, plan.engine, plan.recipe.preset)
    assert (None, None, "uint8", 1) == (
        plan.target.height,
        plan.target.width,
        plan.target.tensor.dtype,
        plan.target.batch,
    )
    assert PRESETS["tf-od"].geometry == plan.recipe.geometry


@LANGUAGES
@pytest.mark.parametrize(
    ("model", "activation"),
    [("colours", Activation.PROBABILITIES), ("raw", Activation.LOGITS)],
)
def test_what_the_numbers_are_is_found_by_asking(stand_in, write_card, language, model, activation):
    """A signature does not tell a softmax from logits: answers to noise do."""
    plan = plan_model(read_card(write_card(model, stand_in.address(language)) / "model.toml"))
    assert (activation, 3) == (plan.description.output.activation, plan.description.output.classes)
    assert "asked with noise" in plan.description.output.reason


@LANGUAGES
def test_a_version_can_be_asked_for(stand_in, write_card, language):
    """The one that is there, and one that is not: what the remote says is told."""
    address = stand_in.address(language)
    there = write_card("colours", address, remote="version = 1")
    assert 1 == plan_model(read_card(there / "model.toml")).card.remote.version
    missing = write_card("colours", address, remote="version = 7")
    with pytest.raises(RemoteFailed, match=r"Specific\(colours, 7\)"):
        plan_model(read_card(missing / "model.toml"))


def test_a_signature_that_is_not_there_is_refused(stand_in, write_card):
    """Those that are there are named."""
    card = write_card("colours", stand_in.address("grpc"))
    with (card / "model.toml").open("a") as file:
        file.write('\n[read]\nsignature = "classify"\n')
    with pytest.raises(Exception, match="has: serving_default"):
        plan_model(read_card(card / "model.toml"))


def test_an_output_that_is_no_row_of_numbers_is_refused(stand_in, write_card):
    """Boxes alone are neither classes nor a detector."""
    card = write_card("things", stand_in.address("grpc"))
    with (card / "model.toml").open("a") as file:
        file.write('\n[read]\noutput = "raw_detection_boxes"\n')
    with pytest.raises(NotAnImageModel, match="raw_detection_boxes"):
        plan_model(read_card(card / "model.toml"))
