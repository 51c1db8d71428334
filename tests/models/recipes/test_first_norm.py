"""What the first batch normalisation tells of networks whose scaling is known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tintype.modelfiles.description import FirstLayers, InGraphAffine
from tintype.models.recipes.first_norm import fit_first_norm, never_trained
from tintype.models.recipes.scales import SCALES

NAMES = {
    "pm1": "x/127.5-1",
    "unit": "x/255",
    "half": "x/255-0.5",
    "torch": "ImageNet mean and std",
    "caffe": "minus ImageNet means",
    "raw": "0..255",
}
CLEAR = [
    *(f"rgb3-{scale}" for scale in NAMES),
    *(f"rgb3-{scale}-relu" for scale in ("pm1", "unit", "torch", "caffe", "raw")),
    *(f"rgb7-{scale}" for scale in ("pm1", "unit", "torch", "caffe", "raw")),
    *(f"rgb5-{scale}" for scale in ("pm1", "unit", "pm1-relu", "unit-relu")),
    *(f"grey3-{scale}" for scale in ("pm1", "unit", "raw")),
    *(f"grey5-{scale}-relu" for scale in ("pm1", "unit", "raw")),
    *(f"rgb3-pm1-{pictures}" for pictures in ("dim", "blurred", "close", "warm", "small")),
    *(f"rgb3-unit-{pictures}" for pictures in ("dim", "blurred", "close", "warm", "flat")),
]
HARD = [
    *(f"rgb3-{scale}-40steps" for scale in ("pm1", "unit", "raw")),
    *(f"grey3-{scale}-digits" for scale in ("pm1", "unit", "raw")),
    "rgb3-pm1-flat",
    "rgb3-torch-small",
]


def truth(name: str) -> str:
    return NAMES[name.split("-")[1].removesuffix("bgr")]


@pytest.mark.parametrize("name", CLEAR)
def test_scale_of_training_is_found_clearly(name, network, cats):
    """Networks trained on dogs, judged by statistics of cats, tell their scale beyond doubt."""
    first = network(name)

    fit = fit_first_norm(first, statistics=cats(first.kernel.shape[2]))

    assert truth(name) == fit.best
    assert fit.confident


@pytest.mark.parametrize("name", HARD)
def test_hard_cases_are_right_or_in_doubt(name, network, cats):
    """Forty steps of training, drawn digits, little contrast: never wrong and sure of it."""
    first = network(name)

    fit = fit_first_norm(first, statistics=cats(first.kernel.shape[2]))

    assert fit.best == truth(name) or not fit.confident
    assert fit.allows(truth(name))


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("rgb3-raw", "RGB"),
        ("rgb3-unit", "RGB"),
        ("rgb3-pm1", "RGB"),
        ("rgb3-rawbgr", "BGR"),
        ("rgb3-torch", None),
        ("grey3-unit", None),
    ],
)
def test_channel_order_is_told_only_when_clear(name, order, network, cats):
    """Red is brighter than blue in natural pictures; centred values and grey hide it."""
    first = network(name)

    assert order == fit_first_norm(first, statistics=cats(first.kernel.shape[2])).order


@pytest.mark.parametrize("name", ["rgb3-raw", "rgb3-unit", "rgb3-pm1"])
def test_kernels_without_colour_tell_no_order(name, network, cats):
    """Where all channels weigh the same, red and blue cannot be told apart."""
    first = network(name)
    grey = replace(first, kernel=first.kernel.mean(axis=2, keepdims=True).repeat(3, axis=2))

    assert fit_first_norm(grey, statistics=cats(3)).order is None


@pytest.mark.parametrize("name", ["rgb3-pm1bgr", "rgb3-unitbgr"])
def test_bgr_is_never_called_rgb(name, network, cats):
    """What was trained on BGR is called BGR or left open."""
    assert fit_first_norm(network(name), statistics=cats(3)).order in {"BGR", None}


def test_scale_carries_the_order_that_was_told(network, cats):
    """Values of the best scale say BGR where BGR was found."""
    fit = fit_first_norm(network("rgb3-rawbgr"), statistics=cats(3))

    assert {"op": "none", "order": "BGR"} == dict(fit.scale.values)


def test_channel_order_follows_the_kernel(network, cats):
    """Reversing the input channels of a kernel turns RGB into BGR."""
    first = network("rgb3-raw")
    turned = replace(first, kernel=first.kernel[:, :, ::-1])

    assert "BGR" == fit_first_norm(turned, statistics=cats(3)).order


def test_untrained_averages_say_nothing(network):
    """Moving means all 0 and variances all 1 were never updated."""
    first = network("rgb3-unit-0steps")

    assert never_trained(first)
    assert fit_first_norm(first) is None


def test_short_training_is_seen(network, cats):
    """After 320 steps with momentum 0.99 the averages hold 4 % of their start."""
    assert 0.04 == fit_first_norm(network("rgb3-unit"), statistics=cats(3)).memory


def test_dark_pictures_are_seen(network, cats):
    """Pictures at 55 % of their brightness are found to have less contrast and lower levels."""
    fit = fit_first_norm(network("rgb3-unit-dim"), statistics=cats(3))

    assert fit.contrast < 0.8
    assert fit.level <= -40


@pytest.mark.parametrize("name", ["rgb3-pm1", "rgb3-unit", "rgb3-torch"])
def test_arithmetic_in_the_graph_is_taken_into_account(name, network, cats):
    """With its scaling inside the graph, a network takes levels as they are."""
    scale = next(scale for scale in SCALES if scale.name == truth(name))
    affine = InGraphAffine(scale=scale.factor, offset=scale.offset, where="Rescaling")

    assert "0..255" == fit_first_norm(network(name), affine=affine, statistics=cats(3)).best


def test_normalisation_of_the_input_itself_works_as_a_kernel_of_one(cats):
    """A batch normalisation right behind the input remembers mean and variance of pixels."""
    levels = cats(3)
    first = FirstLayers(
        kernel=np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3),
        bias=None,
        mean=(levels.mean / 255).astype(np.float32),
        variance=(levels.covariance[3][range(3), range(3), 0, 0] / 255**2).astype(np.float32),
    )

    assert "x/255" == fit_first_norm(first, statistics=levels).best


@pytest.mark.parametrize("name", ["rgb3-raw", "rgb7-raw", "rgb5-unit", "rgb3-unit"])
def test_folded_normalisation_is_a_weak_witness(name, folded, cats):
    """Folded into the kernel it may be right, but is never sure and tells no order."""
    fit = fit_first_norm(folded(name), statistics=cats(3))

    assert truth(name) == fit.best
    assert fit.weak
    assert not fit.confident
    assert fit.order is None


def test_plain_convolutions_say_nothing():
    """Small biases behind an ordinary kernel are no folded normalisation."""
    random = np.random.default_rng(5)
    first = FirstLayers(
        kernel=random.normal(0, 0.08, (3, 3, 3, 32)).astype(np.float32),
        bias=random.normal(0, 0.05, 32).astype(np.float32),
        mean=None,
        variance=None,
    )

    assert fit_first_norm(first) is None


def test_a_few_channels_gone_astray_do_not_decide(network, cats):
    """Three channels of sixteen with absurd averages leave the verdict as it was."""
    first = network("rgb3-pm1")
    mean, variance = first.mean.copy(), first.variance.copy()
    mean[:3], variance[:3] = 50.0, 1e4

    fit = fit_first_norm(replace(first, mean=mean, variance=variance), statistics=cats(3))

    assert "x/127.5-1" == fit.best
    assert fit.gap > 3


def test_dead_channels_are_left_out(network, cats):
    """Kernels that shrank to nothing change no distance."""
    first = network("rgb3-pm1")
    dead = np.full((3, 3, 3, 8), 1e-9, np.float32)
    widened = replace(
        first,
        kernel=np.concatenate([first.kernel, dead], axis=3),
        mean=np.append(first.mean, np.full(8, 7.0, np.float32)),
        variance=np.append(first.variance, np.full(8, 3.0, np.float32)),
    )

    expected = fit_first_norm(first, statistics=cats(3))
    found = fit_first_norm(widened, statistics=cats(3))
    assert dict(expected.candidates) == pytest.approx(dict(found.candidates))


def test_averages_that_nothing_explains_are_not_sure(network, cats):
    """Variances drawn at random fit no scale."""
    first = network("rgb3-pm1")
    random = np.random.default_rng(6)
    odd = replace(
        first,
        mean=random.normal(0, 30, 16).astype(np.float32),
        variance=np.exp(random.normal(0, 6, 16)).astype(np.float32),
    )

    assert not fit_first_norm(odd, statistics=cats(3)).confident


BROKEN = {
    "a row too short": {"mean": np.zeros(3, np.float32)},
    "not finite": {"variance": np.full(16, np.nan, np.float32)},
    "infinite": {"mean": np.full(16, np.inf, np.float32)},
    "two channels": {"kernel": np.ones((3, 3, 2, 16), np.float32)},
    "a wide kernel": {"kernel": np.ones((13, 13, 3, 16), np.float32)},
    "no kernel": {"kernel": np.zeros((3, 3, 3, 16), np.float32)},
    "three axes": {"kernel": np.ones((3, 3, 16), np.float32)},
    "an empty kernel": {"kernel": np.ones((0, 0, 3, 16), np.float32)},
    "no output": {
        "kernel": np.ones((3, 3, 3, 0), np.float32),
        "mean": np.zeros(0, np.float32),
        "variance": np.zeros(0, np.float32),
    },
    "neither normalisation nor bias": {"mean": None, "variance": None},
}


@pytest.mark.parametrize("what", BROKEN)
def test_numbers_that_make_no_sense_say_nothing(what, network):
    """A stranger's file may hold anything; no exception, no verdict."""
    assert fit_first_norm(replace(network("rgb3-pm1"), **BROKEN[what])) is None


def test_affine_of_other_channels_says_nothing(network):
    """Four factors for three channels cannot be applied."""
    affine = InGraphAffine(scale=(1.0,) * 4, offset=(0.0,) * 4, where="Mul")

    assert fit_first_norm(network("rgb3-pm1"), affine=affine) is None


@pytest.mark.parametrize("factor", [1e-10, 1e35])
def test_huge_and_tiny_numbers_are_survived(factor, network):
    """Weights of any size give a verdict without warnings."""
    first = network("rgb3-pm1")

    assert fit_first_norm(replace(first, kernel=first.kernel * np.float32(factor))) is not None


def test_candidates_are_ranked(network, cats):
    """Six scales, each once, the nearest first; the gap is the distance times the channels."""
    fit = fit_first_norm(network("rgb3-pm1"), statistics=cats(3))
    distances = [distance for _, distance in fit.candidates]

    assert set(NAMES.values()) == {name for name, _ in fit.candidates}
    assert sorted(distances) == distances
    assert fit.gap == pytest.approx((distances[1] - distances[0]) * fit.counted)


def test_a_fit_is_quick(network):
    """The widest kernel with 64 channels takes milliseconds of processor time."""
    first = network("rgb7-torch")
    wide = replace(
        first,
        kernel=np.tile(first.kernel, 2),
        mean=np.tile(first.mean, 2),
        variance=np.tile(first.variance, 2),
        rectified=True,
    )
    fit_first_norm(wide)
    best = min(_seconds(wide) for _ in range(5))

    assert best < 0.1


def _seconds(first: FirstLayers) -> float:
    start = time.thread_time()
    fit_first_norm(first)
    return time.thread_time() - start
