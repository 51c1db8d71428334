"""What is told of a model that is served, wherever it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tintype.imaging.recipe import Recipe, expand
from tintype.models.absent import fallback_labels
from tintype.models.info import Health, InputInfo, ModelInfo
from tintype.models.plan import ModelPlan, class_output
from tintype.types import (
    DetectionOutput,
    ImageInput,
    LabelScore,
    Output,
    Task,
    name_text,
)


class Hosted(ABC):
    """A planned model that may be asked once it is entered; leaving it drains it."""

    def __init__(self, plan: ModelPlan) -> None:
        self.plan = plan

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Make it ready to be asked. Raises ModelFileError, ServingError."""

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish what was accepted."""

    @property
    @abstractmethod
    def health(self) -> Health:
        """Where it is in its life."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """What it computes in: ``f32``, ``int8``."""

    @abstractmethod
    def waiting(self) -> int:
        """How many rows wait for its engine in this process."""

    @property
    def name(self) -> str:
        """The name it is served under."""
        return self.plan.card.name

    @property
    def version(self) -> str:
        """The servable version."""
        return self.plan.card.version

    @property
    def task(self) -> Task:
        """Labels or boxes."""
        return self.plan.task

    @property
    def deadline_seconds(self) -> float | None:
        """The longest wait for this model from when it is asked, None for the request's."""
        return self.plan.card.deadline_seconds

    @property
    def fallback(self) -> tuple[LabelScore, ...] | None:
        """What is told when it gives no answer, None where its card says nothing."""
        fallback = self.plan.card.fallback
        return fallback_labels(fallback, labels=self.plan.labels) if fallback else None

    @property
    def recipe(self) -> Recipe:
        """How a picture is made into a row."""
        return self.plan.recipe

    @property
    def target(self) -> ImageInput:
        """The input the row is made for."""
        return self.plan.target

    def info(self) -> ModelInfo:
        """What is told about this model."""
        plan, description = self.plan, self.plan.description
        recipe = expand(plan.recipe)
        view = recipe.pop("view")
        output = class_output(plan)
        return ModelInfo(
            name=self.name,
            version=self.version,
            title=plan.card.title or self.name,
            description=plan.card.description,
            task=plan.task,
            file=name_text(plan.card.file.name),
            format=description.format.value,
            writer=description.writer,
            engine=plan.engine,
            engine_reason=plan.engine_reason,
            device=plan.device,
            precision=self.precision,
            health=self.health,
            input=_input_info(plan.target),
            recipe=recipe,
            recipe_is_guess=plan.recipe_is_guess,
            recipe_reasons=plan.recipe_reasons,
            recipe_override=plan.recipe_override,
            view=view if isinstance(view, dict) else {},
            labels=plan.labels,
            labels_source=plan.labels_source,
            activation=output.activation.value if output else None,
            activation_reason=output.reason if output else "",
            top=plan.top,
            threshold=plan.threshold,
            deadline_seconds=plan.card.deadline_seconds,
            fallback=plan.card.fallback,
            first_class=_first_class(description.output),
            warnings=plan.warnings,
            parameters=sum(layer.parameters for layer in description.layers) or None,
        )


def _first_class(output: Output) -> int:
    return output.first_class if isinstance(output, DetectionOutput) else 0


def _input_info(image: ImageInput) -> InputInfo:
    return InputInfo(
        name=image.tensor.name,
        shape=image.tensor.shape,
        dtype=image.tensor.dtype,
        layout=image.layout,
        height=image.height,
        width=image.width,
        channels=image.channels,
        batch=image.batch,
    )
