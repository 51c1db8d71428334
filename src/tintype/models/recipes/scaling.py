"""Decides how levels 0..255 become the model's numbers, in the order in which evidence counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tintype.modelfiles.description import InGraphAffine, ModelDescription, Normalisation
from tintype.models.recipes.customs import Custom, custom
from tintype.models.recipes.first_norm import (
    NormFit,
    fit_first_norm,
    moved_by_levels_only,
    never_trained,
)
from tintype.models.recipes.scales import (
    BY_NAME,
    PLUS_MINUS_ONE,
    RAW,
    UNIT,
    Scale,
    base_name,
    fed_to_graph,
    same_scale,
)
from tintype.types import Format

_KERAS_FILES: Final = frozenset({Format.KERAS_HDF5, Format.KERAS_ZIP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How levels become numbers, and why.

    ``values`` is what a recipe says. ``scale`` is the usual scale that it is, if any. ``settled``:
    the file, its maker or a clear fit tells it; otherwise it is a guess. ``because`` completes a
    sentence, ``warnings`` are sentences. ``other`` is the next best scale.
    """

    name: str
    values: Mapping[str, object]
    scale: Scale | None
    settled: bool
    because: str
    other: Scale
    warnings: tuple[str, ...] = ()


def decide_scaling(description: ModelDescription) -> Scaling:
    """The file's own word, then the first batch normalisation, then names, then custom."""
    fit = _fit(description)
    told = _told(description)
    if told is not None:
        return _checked(told, fit)
    usual = custom(description)
    if fit is None and (where := _folded_division(description)) is not None:
        return _levels(
            "the first kernel is so faint that nothing smaller moves it: a division by 255 seems "
            f"to be folded into it ({where})"
        )
    if fit is None:
        return _unwitnessed(usual, description)
    if fit.confident:
        return _fitted(fit, usual)
    return _undecided(fit, usual)


def _fit(description: ModelDescription) -> NormFit | None:
    """The verdict of the first layers. Keras files hold no folded normalisations."""
    first = description.evidence.first_layers
    if first is None:
        return None
    folded = first.mean is None or first.variance is None
    if folded and description.format in _KERAS_FILES:
        return None
    return fit_first_norm(first, affine=description.evidence.affine)


def _folded_division(description: ModelDescription) -> str | None:
    """Where a division by 255 was folded into the first kernel. Keras itself never folds."""
    first = description.evidence.first_layers
    if first is None or description.format in _KERAS_FILES:
        return None
    return first.where if moved_by_levels_only(first, affine=description.evidence.affine) else None


def _told(description: ModelDescription) -> Scaling | None:
    """What the file itself says about values."""
    evidence, tensor = description.evidence, description.image.tensor
    if evidence.normalisation is not None and _usable(evidence.normalisation):
        return _by_metadata(evidence.normalisation)
    if evidence.affine is not None and not _is_identity(evidence.affine):
        return _by_graph(evidence.affine)
    if evidence.encoded_input:
        return _levels("the graph was made to decode pictures itself")
    if tensor.quantisation is not None and tensor.dtype in {"uint8", "int8"}:
        return _levels(f"the quantised {tensor.dtype} input stores levels")
    if tensor.dtype in {"uint8", "string"}:
        return _levels(f"the input is {tensor.dtype}")
    return None


def _levels(because: str) -> Scaling:
    return Scaling(
        name=RAW.name, values=RAW.values, scale=RAW, settled=True, because=because, other=UNIT
    )


def _is_identity(affine: InGraphAffine) -> bool:
    return set(affine.scale) == {1.0} and set(affine.offset) == {0.0}


def _by_graph(affine: InGraphAffine) -> Scaling:
    """What goes with the graph's own arithmetic."""
    expected = RAW
    if len(affine.scale) == len(affine.offset):
        expected = fed_to_graph(np.array(affine.scale), np.array(affine.offset))
    if expected is RAW:
        return _levels(f"the model scales them itself ({affine.where})")
    because = f"the model's own arithmetic makes a usual scale of it ({affine.where})"
    return Scaling(
        name=expected.name,
        values=expected.values,
        scale=expected,
        settled=True,
        because=because,
        other=RAW,
    )


def _usable(told: Normalisation) -> bool:
    """Whether metadata has a mean and a deviation that is not 0 for each channel."""
    numbers = (*told.mean, *told.std)
    finite = bool(numbers) and bool(np.isfinite(numbers).all())
    return finite and len(told.mean) == len(told.std) and all(told.std)


def _by_metadata(told: Normalisation) -> Scaling:
    mean, std = np.asarray(told.mean, np.float64), np.asarray(told.std, np.float64)
    bgr = told.reversed_channels
    values = {"op": "mean-std", "mean": _short(told.mean), "std": _short(told.std)}
    return Scaling(
        name=f"(x-{_numbers(told.mean)})/{_numbers(told.std)}" + (" on BGR" if bgr else ""),
        values={**values, "order": "BGR"} if bgr else values,
        scale=same_scale(1 / std, -mean / std, bgr=bgr),
        settled=True,
        because=f"the file says so ({told.where})",
        other=RAW,
    )


def _numbers(values: tuple[float, ...]) -> str:
    short = ", ".join(f"{value:g}" for value in _short(values))
    return short if len(_short(values)) == 1 else f"({short})"


def _short(values: tuple[float, ...]) -> list[float]:
    """One number where all are the same."""
    return [values[0]] if len(set(values)) == 1 else [*values]


def _checked(told: Scaling, fit: NormFit | None) -> Scaling:
    """What the file says is followed; a batch normalisation that says otherwise is reported."""
    if fit is None or fit.weak or told.scale is None:
        return told
    if fit.allows(told.scale.name):
        return replace(told, because=f"{told.because}; the first batch normalisation agrees")
    if not fit.confident:
        return told
    warning = (
        f"The first batch normalisation contradicts the file: it fits {fit.scale.title} better "
        f"({_against(fit, fit.best, told.scale.name)}). The file is followed; compare both on "
        "pictures you know"
    )
    return replace(told, warnings=(warning,), other=fit.scale)


def _unwitnessed(usual: Custom, description: ModelDescription) -> Scaling:
    first = description.evidence.first_layers
    untrained = first is not None and never_trained(first)
    warning = "The first batch normalisation was never trained, so it tells nothing"
    return Scaling(
        name=usual.scale.title,
        values=usual.scale.values,
        scale=usual.scale,
        settled=usual.certain,
        because=usual.because,
        other=PLUS_MINUS_ONE if usual.scale is UNIT else UNIT,
        warnings=(warning,) if untrained else (),
    )


def _fitted(fit: NormFit, usual: Custom) -> Scaling:
    """A clear fit is believed against names."""
    rival = _rival(fit, fit.scale)
    because = f"the first batch normalisation fits it ({_against(fit, fit.best, rival.name)})"
    warnings: tuple[str, ...] = ()
    other = rival
    agrees = base_name(usual.scale.name) == fit.best
    if agrees and (usual.certain or usual.backbone):
        because = f"{because}, and {usual.because}"
    if agrees and usual.borrowed:
        other = rival if usual.scale is UNIT else UNIT
        warnings = (_borrowed(other),)
    if usual.backbone and not fit.allows(usual.scale.name):
        fed = f"{usual.because.removesuffix(' so')} {usual.scale.title}"
        warnings = (f"{fed}; the batch normalisation is believed",)
    return Scaling(
        name=fit.scale.title,
        values=fit.scale.values,
        scale=fit.scale,
        settled=True,
        because=because,
        other=other,
        warnings=warnings,
    )


def _borrowed(other: Scale) -> str:
    return (
        "That may be the scaling of the backbone's own training: if only a head was trained on "
        f"it, with pictures scaled otherwise ({other.name}, say), set the recipe"
    )


def _undecided(fit: NormFit, usual: Custom) -> Scaling:
    """A fit that is weak or not clear decides only where it speaks against what is usual."""
    allowed = fit.allows(usual.scale.name)
    chosen = usual.scale if allowed else fit.scale
    rival = _rival(fit, chosen)
    witness = "the first batch normalisation"
    if fit.weak:
        witness = "the first kernel, a weak witness with its batch normalisation folded in,"
    figures = _against(fit, chosen.name, rival.name)
    because = f"{usual.because}, and {witness} allows it ({figures})"
    if not allowed:
        because = f"{witness} fits it best, though not clearly ({figures})"
    return Scaling(
        name=chosen.title,
        values=chosen.values,
        scale=chosen,
        settled=usual.certain and allowed,
        because=because,
        other=rival,
    )


def _rival(fit: NormFit, chosen: Scale) -> Scale:
    """The scale that fits best beside ``chosen``."""
    return next(BY_NAME[name] for name, _ in fit.candidates if name != base_name(chosen.name))


def _against(fit: NormFit, chosen: str, other: str) -> str:
    next_one = ", the next" if base_name(other) == fit.next_best else ""
    figures = f"{fit.distance(chosen):.2f} against {fit.distance(other):.2f}"
    return f"{figures} for {base_name(other)}{next_one}"
