"""Small networks of known scaling, and descriptions of model files to choose recipes for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tintype.modelfiles.description import Evidence, FirstLayers, ModelDescription
from tintype.models.recipes.patch_statistics import PatchStatistics, grey, read_statistics
from tintype.types import (
    Activation,
    ClassOutput,
    Format,
    Graph,
    ImageInput,
    Layout,
    Output,
    Quantisation,
    TensorSpec,
)

HERE = Path(__file__).parent
FOLDED_EPSILON = 1e-3


@pytest.fixture(scope="session")
def cats() -> Callable[[int], PatchStatistics]:
    """Statistics of photographs of cats, by channels; the networks saw only dogs."""
    colour = read_statistics(HERE / "cats_statistics.npz")
    own = {3: colour, 1: grey(colour)}
    return lambda channels: own[channels]


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / "networks" / f"{name}.npz") as arrays:
        return dict(arrays)


def network(name: str) -> FirstLayers:
    arrays = load(name)
    return FirstLayers(
        kernel=arrays["kernel"],
        bias=arrays.get("bias"),
        mean=arrays["mean"],
        variance=arrays["variance"],
        rectified=bool(arrays["rectified"]),
    )


def folded(name: str) -> FirstLayers:
    arrays = load(name)
    gain = arrays["gamma"] / np.sqrt(arrays["variance"] + FOLDED_EPSILON)
    return FirstLayers(
        kernel=arrays["kernel"] * gain,
        bias=arrays["beta"] - gain * arrays["mean"],
        mean=None,
        variance=None,
    )


@pytest.fixture(name="network")
def network_fixture() -> Callable[[str], FirstLayers]:
    """First layers of a network that ``training/first_norm_fixtures.py`` trained."""
    return network


@pytest.fixture(name="folded")
def folded_fixture() -> Callable[[str], FirstLayers]:
    """The same with the batch normalisation folded into the kernel."""
    return folded


def description(
    *,
    kind: Format = Format.KERAS_HDF5,
    layout: Layout = Layout.NHWC,
    size: int | None = 224,
    channels: int = 3,
    dtype: str = "float32",
    quantisation: Quantisation | None = None,
    output: Output | None = None,
    **evidence: object,
) -> ModelDescription:
    shape = (None, channels, size, size) if layout is Layout.NCHW else (None, size, size, channels)
    tensor = TensorSpec(name="input", shape=shape, dtype=dtype, quantisation=quantisation)
    answer = TensorSpec(name="output", shape=(None, 2))
    return ModelDescription(
        path=Path("model"),
        format=kind,
        writer=None,
        image=ImageInput(tensor=tensor, layout=layout, height=size, width=size, channels=channels),
        output=output or ClassOutput(tensor=answer, classes=2, activation=Activation.SOFTMAX),
        graph=Graph(format=kind, source=Path("model"), input=tensor, outputs=(answer,)),
        evidence=Evidence(**evidence),
    )


@pytest.fixture(name="description")
def description_fixture() -> Callable[..., ModelDescription]:
    """A description of a model file; keywords that are not its own go to its evidence."""
    return description
