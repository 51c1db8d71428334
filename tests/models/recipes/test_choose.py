"""Which recipe is chosen, for every kind of evidence, and the sentences that say why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tintype.imaging.recipe import Recipe, parse_recipe, parse_recipe_text
from tintype.imaging.steps import Geometry, Resize
from tintype.modelfiles.description import (
    FirstLayers,
    InGraphAffine,
    InGraphResize,
    Normalisation,
)
from tintype.models.recipes.choose import RecipeChoice, as_text, choose_recipe
from tintype.types import DetectionOutput, Format, Layout, Quantisation, TensorSpec

HALVES = Normalisation(mean=(127.5,) * 3, std=(127.5,) * 3, where="TFLite metadata")
RESCALING = InGraphAffine(scale=(1 / 255,), offset=(0.0,), where="rescaling")


def recipe_of(choice: RecipeChoice) -> Recipe:
    """The chosen recipe; every alternative must be one too."""
    assert choice.reasons
    assert choice.alternatives
    for text, why in choice.alternatives:
        assert parse_recipe_text(text) != parse_recipe(choice.settings), text
        assert why
    assert parse_recipe_text(as_text(choice.settings)) == parse_recipe(choice.settings)
    return parse_recipe(choice.settings)


def detection(name: str = "boxes") -> DetectionOutput:
    spec = TensorSpec(name=name, shape=(1, None, 4))
    return DetectionOutput(boxes=spec, classes=spec, scores=spec, count=None, first_class=1)


# --- What the file says ---------------------------------------------------------------------


def test_metadata_gives_mean_and_std(description):
    """A TFLite file's NormalizationOptions are taken at their word."""
    choice = choose_recipe(description(kind=Format.TFLITE, normalisation=HALVES))

    recipe = recipe_of(choice)
    assert "tflite-metadata" == recipe.preset
    assert ("mean-std", (127.5,), (127.5,)) == (
        recipe.values.op,
        recipe.values.mean,
        recipe.values.std,
    )
    assert not choice.is_guess
    assert choice.reasons[0] == "(x-127.5)/127.5, because the file says so (TFLite metadata)"


def test_metadata_with_a_number_a_channel(description):
    """Means and deviations a channel are handed on as they are."""
    told = Normalisation(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), where="metadata")

    values = recipe_of(choose_recipe(description(kind=Format.TFLITE, normalisation=told))).values

    assert ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)) == (values.mean, values.std)


def test_metadata_of_reversed_channels(description):
    """Metadata that says blue first gives a recipe in BGR order."""
    told = Normalisation(mean=(0.0,), std=(255.0,), where="rt_info", reversed_channels=True)

    choice = choose_recipe(description(kind=Format.OPENVINO_IR, normalisation=told))

    assert "BGR" == recipe_of(choice).values.order


def test_quantised_input_with_float_metadata_keeps_the_metadata(description):
    """Metadata and quantisation cancel later, where pictures are packed; both are followed."""
    model = description(
        kind=Format.TFLITE,
        dtype="uint8",
        quantisation=Quantisation(scale=1 / 128, zero_point=128),
        normalisation=HALVES,
    )

    assert "mean-std" == recipe_of(choose_recipe(model)).values.op


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_quantised_input_without_metadata_takes_levels(dtype, description):
    """Levels are what a quantised 8-bit input stores."""
    model = description(
        kind=Format.TFLITE, dtype=dtype, quantisation=Quantisation(scale=0.0039, zero_point=0)
    )
    choice = choose_recipe(model)

    assert ("raw", "none") == (recipe_of(choice).preset, recipe_of(choice).values.op)
    assert not choice.is_guess
    assert f"quantised {dtype} input" in choice.reasons[0]


def test_uint8_input_takes_levels(description):
    """An input of bytes can only be fed levels."""
    choice = choose_recipe(description(kind=Format.TF_SAVED_MODEL, dtype="uint8", source="tf2"))

    assert "none" == recipe_of(choice).values.op
    assert not choice.is_guess


def test_rescaling_inside_leaves_levels(description):
    """A model that scales itself gets levels, by the loader that goes with Rescaling."""
    choice = choose_recipe(description(affine=RESCALING, source="keras"))

    recipe = recipe_of(choice)
    assert ("keras-image-dataset", "none") == (recipe.preset, recipe.values.op)
    assert choice.reasons[0].startswith("Levels 0..255 as they are, because the model scales")
    assert "rescaling" in choice.reasons[0]
    assert "keras-load-img" in choice.reasons[1]


def test_encoded_input_takes_levels_the_tf1_way(description):
    """A graph that began with DecodeJpeg is fed levels, decoded as TensorFlow does."""
    choice = choose_recipe(description(kind=Format.TF_FROZEN_GRAPH, encoded_input=True))

    recipe = recipe_of(choice)
    assert ("tf1", "none", "ifast") == (recipe.resize.engine, recipe.values.op, recipe.decode.dct)


@pytest.mark.parametrize(
    ("kind", "engine"), [("tf1 bilinear", "tf1"), ("tf2 bilinear", "tf2"), ("tf1 nearest", "tf1")]
)
def test_resize_cut_out_of_the_graph_is_done_outside(kind, engine, description):
    """The graph's own resize is told, so it is done exactly so."""
    resize = InGraphResize(height=299, width=299, kind=kind, where="ResizeBilinear", cut=True)
    choice = choose_recipe(
        description(kind=Format.TF_FROZEN_GRAPH, resize=resize, affine=RESCALING)
    )

    assert Resize(engine=engine, kind=kind.split()[1]) == recipe_of(choice).resize
    assert "ResizeBilinear" in choice.reasons[-1]
    assert "would fit too" not in choice.reasons[-1]


def test_resize_left_in_the_graph_gets_whole_pictures(description):
    """A model that resizes itself is fed pictures of their own size."""
    resize = InGraphResize(height=180, width=180, kind="tf2 bilinear", where="resizing", cut=False)

    choice = choose_recipe(description(size=None, resize=resize, affine=RESCALING, source="keras"))

    assert Geometry(mode="none") == recipe_of(choice).geometry


def test_unknown_resize_in_the_graph_is_survived(description):
    """A kind of resize without a name here keeps the preset's own."""
    resize = InGraphResize(height=9, width=9, kind="odd", where="Resize", cut=True)

    assert recipe_of(choose_recipe(description(resize=resize)))


def test_object_detection_api_gets_whole_pictures(description):
    """A detector of any size resizes in its graph."""
    model = description(
        kind=Format.TF_SAVED_MODEL, size=None, dtype="uint8", output=detection(), source="tf2"
    )

    assert "tf-od" == recipe_of(choose_recipe(model)).preset


def test_tflite_detector_is_fed_stretched_pictures(description):
    """A detector of a fixed size gets the whole picture, stretched."""
    model = description(kind=Format.TFLITE, size=300, output=detection(), normalisation=HALVES)

    assert Geometry(mode="stretch") == recipe_of(choose_recipe(model)).geometry


# --- What the first batch normalisation remembers --------------------------------------------


@pytest.mark.parametrize(
    ("name", "preset", "op"),
    [
        ("rgb3-pm1", "keras-tf", "x/127.5-1"),
        ("rgb3-unit", "keras-load-img", "x*(1/255)"),
        ("rgb3-torch", "keras-torch", "torch"),
        ("rgb3-caffe", "keras-caffe", "caffe"),
        ("rgb3-raw", "keras-image-dataset", "none"),
        ("rgb3-half", "keras-load-img", "mean-std"),
    ],
)
def test_clear_fit_decides_values(name, preset, op, description, network):
    """A Keras file without another word is prepared as its batch normalisation remembers."""
    choice = choose_recipe(description(first_layers=network(name), source="keras"))

    recipe = recipe_of(choice)
    assert (preset, op) == (recipe.preset, recipe.values.op)
    assert not choice.is_guess
    assert "because the first batch normalisation fits it (" in choice.reasons[0]
    assert ", the next" in choice.reasons[0]


def test_grey_pictures(description, network):
    """One channel is judged by grey statistics."""
    model = description(channels=1, size=48, first_layers=network("grey3-raw"), source="keras")

    assert "none" == recipe_of(choose_recipe(model)).values.op


def test_bgr_that_is_clear_reaches_the_recipe(description, network):
    """A network trained on BGR levels gets BGR levels."""
    choice = choose_recipe(description(first_layers=network("rgb3-rawbgr"), source="keras"))

    assert ("none", "BGR") == (recipe_of(choice).values.op, recipe_of(choice).values.order)
    assert "0..255 on BGR" in choice.reasons[0]


def test_clear_fit_is_believed_against_a_backbone(description, network):
    """A ResNet50 trained anew on x/255 is not fed as its family is."""
    model = description(first_layers=network("rgb7-unit"), backbone="resnet50", source="keras")

    choice = choose_recipe(model)
    assert "x*(1/255)" == recipe_of(choice).values.op
    assert "resnet50 is usually fed minus ImageNet means on BGR" in choice.reasons[1]


def test_backbone_that_agrees_is_said(description, network):
    """Evidence that agrees is named together."""
    model = description(first_layers=network("rgb7-caffe"), backbone="resnet50", source="keras")

    choice = choose_recipe(model)
    assert "keras-caffe" == recipe_of(choice).preset
    assert choice.reasons[0].endswith("and resnet50 is usually fed so")
    assert "if only a head was trained" in choice.reasons[1]
    assert any("x/255" in text for text, _ in choice.alternatives)


def test_unclear_fit_leaves_custom_standing(description, network):
    """Forty steps of training do not tell ±1 from 0..1 beyond doubt; the usual is a guess."""
    choice = choose_recipe(description(first_layers=network("rgb3-pm1-40steps"), source="keras"))

    assert "x*(1/255)" == recipe_of(choice).values.op
    assert choice.is_guess
    assert choice.reasons[0].startswith("A guess: x/255, because")
    assert "allows it" in choice.reasons[0]
    assert "values.op=x/127.5-1" in choice.alternatives[0][0]


def test_unclear_fit_rules_out_what_cannot_be(description, network):
    """Three channels of a network trained on levels exclude x/255, so it is not taken."""
    first = network("rgb3-raw-40steps")
    few = replace(
        first, kernel=first.kernel[..., :3], mean=first.mean[:3], variance=first.variance[:3]
    )
    choice = choose_recipe(description(first_layers=few, source="keras"))

    assert "none" == recipe_of(choice).values.op
    assert choice.is_guess
    assert "though not clearly" in choice.reasons[0]


def test_folded_fit_is_called_weak(description, folded):
    """A float TFLite file without metadata: the folded kernel decides, as a guess."""
    model = description(kind=Format.TFLITE, first_layers=folded("rgb3-raw"))

    choice = choose_recipe(model)
    assert "none" == recipe_of(choice).values.op
    assert choice.is_guess
    assert "weak witness" in choice.reasons[0]


def plain(kernel: np.ndarray) -> FirstLayers:
    return FirstLayers(
        kernel=kernel.astype(np.float32),
        bias=np.full(kernel.shape[3], 0.01, np.float32),
        mean=None,
        variance=None,
        rectified=True,
    )


def glorot(outputs: int = 16) -> np.ndarray:
    """A 3x3 kernel on three channels as Keras initialises it."""
    limit = np.sqrt(6 / (27 + 9 * outputs))
    return np.random.default_rng(0).uniform(-limit, limit, (3, 3, 3, outputs))


def test_a_division_folded_into_the_kernel_is_seen(description):
    """Keras' Rescaling(1/255), converted to TFLite, leaves a kernel that is 255 times too small."""
    choice = choose_recipe(description(kind=Format.TFLITE, first_layers=plain(glorot() / 255)))

    assert "none" == recipe_of(choice).values.op
    assert not choice.is_guess
    assert "folded into it" in choice.reasons[0]


@pytest.mark.parametrize("shrunk", [1.0, 0.2])
def test_an_ordinary_kernel_says_nothing_of_levels(description, shrunk: float):
    """Weights as initialised, or shrunk by weight decay, are fed as is usual."""
    choice = choose_recipe(description(kind=Format.TFLITE, first_layers=plain(shrunk * glorot())))

    assert "x/255" == recipe_of(choice).values.op
    assert choice.is_guess


def test_a_division_in_the_graph_is_not_taken_for_a_folded_one(description):
    """ONNX with x/255 before an ordinary kernel: the arithmetic is what says levels."""
    affine = InGraphAffine(scale=(1 / 255,), offset=(0.0,), where="div")
    choice = choose_recipe(
        description(kind=Format.ONNX, first_layers=plain(glorot()), affine=affine)
    )

    assert "scales them itself" in choice.reasons[0]


def test_keras_files_hold_no_folded_normalisation(description, folded):
    """In a Keras file a convolution with a bias is just that."""
    choice = choose_recipe(description(first_layers=folded("rgb3-raw"), source="keras"))

    assert "x*(1/255)" == recipe_of(choice).values.op
    assert "first" not in choice.reasons[0]


def test_untrained_normalisation_is_reported(description, network):
    """A model never trained is served as is usual, and that is said."""
    choice = choose_recipe(description(first_layers=network("rgb3-unit-0steps"), source="keras"))

    assert choice.is_guess
    assert "never trained" in choice.reasons[1]


# --- Evidence against evidence ----------------------------------------------------------------


def test_file_is_followed_against_the_normalisation_with_a_warning(description, network):
    """Metadata says ±1, the batch normalisation clearly 0..1: the file wins, and it is said."""
    model = description(kind=Format.TFLITE, normalisation=HALVES, first_layers=network("rgb3-unit"))

    choice = choose_recipe(model)
    assert (127.5,) == recipe_of(choice).values.mean
    assert "contradicts the file: it fits x/255 better" in choice.reasons[1]
    assert any("x/255" in text for text, _ in choice.alternatives)


def test_file_and_normalisation_that_agree_are_said(description, network):
    """Metadata and batch normalisation both say ±1."""
    model = description(kind=Format.TFLITE, normalisation=HALVES, first_layers=network("rgb3-pm1"))

    choice = choose_recipe(model)
    assert choice.reasons[0].endswith("; the first batch normalisation agrees")
    assert 2 == len(choice.reasons)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rgb3-unit", "x/255, because the model's own arithmetic makes a usual scale of it"),
        ("rgb3-raw", "contradicts the file: it fits 0..255 better"),
    ],
)
def test_arithmetic_in_the_graph_and_the_normalisation(name, said, description, network):
    """A graph that does 2x-1 wants 0..1; trained on levels all the same, that is reported."""
    affine = InGraphAffine(scale=(2.0,) * 3, offset=(-1.0,) * 3, where="Mul, Sub")
    first = network(name)
    inside = replace(first, kernel=first.kernel / 2, bias=first.kernel.sum((0, 1, 2)) / 2)

    choice = choose_recipe(description(affine=affine, first_layers=inside, source="tf2"))

    assert "x*(1/255)" == recipe_of(choice).values.op
    assert said in " ".join(choice.reasons)


# --- Structure and names ------------------------------------------------------------------------


def test_teachable_machine(description):
    """Its exports are known: centre crop, Lanczos, ±1; no guess."""
    choice = choose_recipe(description(teachable_machine=True, backbone="mobilenetv2"))

    assert {"preset": "teachable-machine"} == choice.settings
    assert not choice.is_guess


@pytest.mark.parametrize(
    ("backbone", "preset"),
    [
        ("mobilenetv2", "keras-tf"),
        ("inceptionresnetv2", "keras-tf"),
        ("resnet50v2", "keras-tf"),
        ("resnet50", "keras-caffe"),
        ("vgg16", "keras-caffe"),
        ("densenet121", "keras-torch"),
        ("efficientnet", "keras-in-model"),
        ("mobilenetv3large", "keras-in-model"),
        ("convnext", "keras-in-model"),
    ],
)
def test_families_of_keras_applications(backbone, preset, description):
    """A known backbone is prepared by its own preprocess_input, as a guess."""
    choice = choose_recipe(description(backbone=backbone, source="keras"))

    assert {"preset": preset} == choice.settings
    assert choice.is_guess
    assert f"{backbone} is usually fed so" in choice.reasons[0]


def test_efficientnet_lite(description):
    """EfficientNet-Lite in TFLite has a preset of its own, whose numbers are its own."""
    choice = choose_recipe(description(kind=Format.TFLITE, backbone="efficientnetlite"))

    assert "efficientnet-lite" == recipe_of(choice).preset


def test_retrained_tf1_graph_with_fit(description, network):
    """label_image's form of ±1, with TensorFlow 1's resize."""
    model = description(
        kind=Format.TF_FROZEN_GRAPH,
        first_layers=network("rgb3-pm1"),
        backbone="mobilenetv1",
        source="tf1",
    )

    choice = choose_recipe(model)
    recipe = recipe_of(choice)
    assert ("tf1-label-image", "tf1") == (recipe.preset, recipe.resize.engine)
    assert ("mean-std", (127.5,), (127.5,)) == (
        recipe.values.op,
        recipe.values.mean,
        recipe.values.std,
    )


def test_tf1_graph_on_unit_values(description, network):
    """0..1 in a TensorFlow 1 graph is retrain.py's form: before the resize."""
    model = description(kind=Format.TF_FROZEN_GRAPH, first_layers=network("rgb3-unit"))

    assert {"preset": "tf1-retrain"} == choose_recipe(model).settings


def test_pytorch_export(description):
    """ONNX with channels first: short side, centre crop, ImageNet's mean and std, as a guess."""
    choice = choose_recipe(description(kind=Format.ONNX, layout=Layout.NCHW, source="pytorch"))

    assert {"preset": "torchvision"} == choice.settings
    assert choice.is_guess


def test_small_pictures_are_not_cropped(description):
    """32-pixel models of PyTorch were trained on whole pictures."""
    choice = choose_recipe(description(kind=Format.ONNX, layout=Layout.NCHW, size=32))

    assert Geometry(mode="stretch") == recipe_of(choice).geometry


def test_keras_model_as_onnx_with_channels_first(description):
    """Channels first alone make no PyTorch model where the exporter says Keras."""
    model = description(kind=Format.ONNX, layout=Layout.NCHW, source="keras")

    assert "keras-load-img" == recipe_of(choose_recipe(model)).preset


def test_nothing_known(description):
    """The commonest case, said as a guess, with ±1 as the first alternative."""
    choice = choose_recipe(description())

    assert ("keras-load-img", "x*(1/255)") == (
        recipe_of(choice).preset,
        recipe_of(choice).values.op,
    )
    assert choice.is_guess
    assert "keras-load-img,values.op=x/127.5-1" == choice.alternatives[0][0]


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("backbone", [None, "vgg16", "densenet121"])
def test_every_kind_of_file_gets_a_recipe(kind, layout, channels, backbone, description):
    """Whatever the format, layout and channels, the choice and its alternatives can be parsed."""
    model = description(kind=kind, layout=layout, channels=channels, backbone=backbone, size=28)

    assert recipe_of(choose_recipe(model))


@pytest.mark.parametrize(
    "told",
    [
        Normalisation(mean=(0.0,), std=(1.0,), where="metadata"),
        Normalisation(mean=(1e30,), std=(1e-30,), where="metadata"),
    ],
)
def test_odd_metadata_is_followed(told, description):
    """Metadata is handed on whatever its numbers."""
    choice = choose_recipe(description(kind=Format.TFLITE, normalisation=told))

    assert told.mean == recipe_of(choice).values.mean


@pytest.mark.parametrize(
    ("mean", "std"), [((0.0,), (0.0,)), ((float("nan"),), (1.0,)), ((), ()), ((1.0, 2.0), (1.0,))]
)
def test_metadata_that_cannot_be_used_is_passed_over(mean, std, description):
    """A deviation of zero or no number at all leaves the choice to what is usual."""
    told = Normalisation(mean=mean, std=std, where="metadata")

    assert choose_recipe(description(kind=Format.TFLITE, normalisation=told)).is_guess


@pytest.mark.parametrize("scale", [1e300, 1e-300, -1e308, 0.0])
def test_odd_arithmetic_is_survived(scale, description, network):
    """A graph's own factors may be anything."""
    affine = InGraphAffine(scale=(scale,) * 3, offset=(scale,) * 3, where="Mul")

    assert recipe_of(choose_recipe(description(affine=affine, first_layers=network("rgb3-raw"))))


def test_hostile_first_layers_do_not_decide(description):
    """Kernels of nonsense leave the choice to what is usual."""
    first = FirstLayers(
        kernel=np.full((3, 3, 3, 4), np.nan, np.float32), bias=None, mean=None, variance=None
    )

    assert choose_recipe(description(kind=Format.ONNX, first_layers=first)).is_guess


def test_a_recipe_that_the_file_carries_is_taken(description):
    """A file that says its own recipe is believed, and it is no guess."""
    carried = '{"preset": "keras-caffe", "resize": "bilinear"}'
    choice = choose_recipe(description(recipe=carried))
    assert ("keras-caffe", False) == (choice.settings["preset"], choice.is_guess)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"preset": "nosuch"}', "[" * 100_000])
def test_a_carried_recipe_that_does_not_hold_is_passed_over(text: str, description):
    """Nonsense in a file's metadata changes nothing."""
    without = choose_recipe(description())
    assert without == choose_recipe(description(recipe=text))
