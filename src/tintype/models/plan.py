"""How a model will be served: its description, labels, recipe and engine, each with its reason.

``inspect`` prints a plan, ``serve`` and ``predict`` carry it out.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from tintype.engines.catalog import check_engine, choose
from tintype.engines.engine import CPU
from tintype.engines.pooled import is_quantised
from tintype.errors import CardError
from tintype.imaging.recipe import Recipe, decode_for, parse_recipe
from tintype.modelfiles.description import ModelDescription
from tintype.modelfiles.label_fit import FittedLabels, fit_labels
from tintype.modelfiles.labels import LabelsFound, find_for, passed_over
from tintype.modelfiles.open import describe
from tintype.models.card import Card, Tuned
from tintype.models.recipes.choose import RecipeChoice, choose_recipe
from tintype.models.tuned import PLAIN, Fitting, other_processor, still_fitting
from tintype.types import ClassOutput, DetectionOutput, ImageInput, Task

_USUAL_SIDE = 224
_DETECT_TOP, _DETECT_THRESHOLD = 100, 0.3
_CLASSIFY_TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """One model, ready to be loaded.

    ``recipe_override`` is the flag that changes the recipe, quoted for a shell. ``warnings`` are
    sentences for the one who starts it. ``tuned`` is what of the card's table still holds, and
    ``not_as_tuned`` why the rest does not, empty where all does. ``device``: see ``EngineOptions``.
    """

    card: Card
    description: ModelDescription
    target: ImageInput
    labels: tuple[str, ...]
    labels_source: str
    recipe: Recipe
    recipe_is_guess: bool
    recipe_reasons: tuple[str, ...]
    recipe_override: str
    engine: str
    engine_reason: str
    top: int
    threshold: float | None
    warnings: tuple[str, ...]
    tuned: Tuned | None = None
    not_as_tuned: str = ""
    device: str = CPU

    @property
    def task(self) -> Task:
        """Labels or boxes, told by the output."""
        is_detector = isinstance(self.description.output, DetectionOutput)
        return Task.DETECT if is_detector else Task.CLASSIFY

    @property
    def precision(self) -> str:
        """What it would compute in, as far as can be told without the engine."""
        if self.tuned is not None and self.tuned.precision != PLAIN:
            return self.tuned.precision
        return "int8" if is_quantised(self.description.graph) else PLAIN


def plan_model(card: Card, *, device: str = CPU) -> ModelPlan:
    """Read the model file and decide how to serve it; on ``device`` unless the card says otherwise.

    Raises ModelFileError, SettingsError; ServingError for a model on another server that cannot be
    asked what it is.
    """
    description = _describe(card)
    labels, source = _labels(card, description)
    choice, recipe = _recipe(card, description)
    target, size_warning = _target(card, description, recipe)
    device = CPU if card.remote is not None else card.device or device
    engine, engine_reason = _engine(card, description, device=device)
    detects = isinstance(description.output, DetectionOutput)
    recipe = replace(recipe, decode=decode_for(recipe, target=target))
    tuned, misfit = _tuned(
        card, Fitting(file=card.file, graph=description.graph, recipe=recipe, engine=engine), device
    )
    plan = ModelPlan(
        card=card,
        description=description,
        target=target,
        labels=labels.labels,
        labels_source=source,
        recipe=recipe,
        recipe_is_guess=choice.is_guess,
        recipe_reasons=choice.reasons,
        recipe_override=_override(choice),
        engine=engine,
        engine_reason=engine_reason,
        top=card.top or (_DETECT_TOP if detects else _CLASSIFY_TOP),
        threshold=_DETECT_THRESHOLD if card.threshold is None and detects else card.threshold,
        warnings=tuple(
            text
            for text in (
                description.ran_code,
                labels.remark,
                labels.hint,
                size_warning,
                misfit,
                None if tuned is None else other_processor(tuned),
            )
            if text
        ),
        tuned=tuned,
        not_as_tuned=misfit or "",
        device=device,
    )
    if card.task is not None and card.task is not plan.task:
        raise CardError(
            f"the card of {card.name!r} says task = {card.task.value!r}, "
            f"but the file answers with {'boxes' if detects else 'labels'}"
        )
    return plan


def _describe(card: Card) -> ModelDescription:
    if card.remote is not None:
        from tintype.models.remote import describe_remote  # noqa: PLC0415 - few models are

        return describe_remote(card.remote, card=card.file, options=card.read)
    allowed = card.allow_code or card.read.allow_code
    return describe(card.file, options=replace(card.read, allow_code=allowed))


def _labels(card: Card, description: ModelDescription) -> tuple[FittedLabels, str]:
    """Labels that fit the output, and where they come from (``none``: made up)."""
    if card.class_names:
        found: LabelsFound | None = LabelsFound(labels=card.class_names, source="the model card")
    else:
        found = find_for(
            card.file,
            in_file=description.labels_in_file,
            given=card.labels,
            output=description.output,
        )
    fitted = fit_labels(None if found is None else found.labels, output=description.output)
    if found is None:
        return replace(fitted, remark=passed_over(card.file) or fitted.remark), "none"
    return fitted, found.source


def _recipe(card: Card, description: ModelDescription) -> tuple[RecipeChoice, Recipe]:
    """The choice with its reasons, and the recipe it comes to with the card's own words on top."""
    if "preset" in card.recipe:
        choice = RecipeChoice(
            settings=card.recipe,
            is_guess=False,
            reasons=(f"{card.recipe['preset']}, because the card or a flag says so",),
            alternatives=(),
        )
    else:
        choice = choose_recipe(description)
        if card.recipe:
            said = ", ".join(f"{name} = {value}" for name, value in card.recipe.items())
            choice = replace(
                choice,
                settings={**choice.settings, **card.recipe},
                reasons=(f"{said}, because the card or a flag says so", *choice.reasons),
            )
    view = {"view": card.view} if card.view else {}
    return choice, parse_recipe({**choice.settings, **view})


def _engine(card: Card, description: ModelDescription, *, device: str) -> tuple[str, str]:
    """The engine and why. Raises SettingsError, UnsupportedModel for one that cannot be."""
    name, reason = choose(description.graph, device=device)
    if card.engine is not None:
        name, reason = card.engine, "set by the card or a flag"
    check_engine(name, description.graph, device=device)
    return name, reason


def _tuned(card: Card, now: Fitting, device: str) -> tuple[Tuned | None, str | None]:
    """What of the card's table ``[tuned]`` holds, and why the rest does not."""
    if card.tuned is None:
        return None, None
    if device != CPU:
        return None, f"not run as tuned: it was tuned for the processor, and runs on {device}"
    return still_fitting(card.tuned, now)


def _target(
    card: Card, description: ModelDescription, recipe: Recipe
) -> tuple[ImageInput, str | None]:
    """The input with a size to feed, where the file takes any and the recipe resizes."""
    image = description.image
    if image.height is not None and image.width is not None:
        if card.size is not None and (card.size.height, card.size.width) != (
            image.height,
            image.width,
        ):
            raise CardError(
                f"the card of {card.name!r} says [size] {card.size.width} x {card.size.height}, "
                f"but the file takes {image.width} x {image.height} only",
                hint="leave [size] out: pictures are resized to what the file takes",
            )
        return image, None
    if card.size is not None:
        return replace(image, height=card.size.height, width=card.size.width), None
    if recipe.geometry.mode == "none":
        return image, None
    warning = (
        f"the file takes pictures of any size; {_USUAL_SIDE} x {_USUAL_SIDE} is a guess. "
        "Set it in model.toml: [size] height = ..., width = ..."
    )
    height, width = image.height or _USUAL_SIDE, image.width or _USUAL_SIDE
    return replace(image, height=height, width=width), warning


def _override(choice: RecipeChoice) -> str:
    """The flag that changes the recipe, ready for a shell: values hold ``*`` and brackets."""
    other = choice.alternatives[0][0] if choice.alternatives else "keras-load-img"
    return f"--recipe {shlex.quote(other)}"


def class_output(plan: ModelPlan) -> ClassOutput | None:
    """The classifier's output, or None for a detector."""
    output = plan.description.output
    return output if isinstance(output, ClassOutput) else None


def without_graph(plan: ModelPlan) -> ModelPlan:
    """The plan without the bytes of its graph, which an engine has copied: they may be large."""
    graph = replace(plan.description.graph, source=b"")
    return replace(plan, description=replace(plan.description, graph=graph))
