"""The training loop of `cats-dogs`: a fixed schedule, and an average of the weights.

The schedule is fixed before the run and the last average is taken, so no photograph is looked
at to choose a checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from augment import Strength, augment
from network import build

BATCH = 64
LABEL_SMOOTHING = 0.05
CLIP_NORM = 5.0
BETA_2 = 0.99


@dataclass(frozen=True, slots=True)
class Stage:
    """So many passes over the photographs at one picture size."""

    size: int
    epochs: int
    strength: Strength


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a run."""

    stages: tuple[Stage, ...]
    peak_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up_epochs: int = 5
    average_decay: float = 0.998
    seed: int = 20

    @property
    def epochs(self) -> int:
        """Passes over the photographs in all stages."""
        return sum(stage.epochs for stage in self.stages)


def rate_at(plan: Plan, progress: float) -> float:
    """Learning rate at `progress` epochs: a linear warm-up, then half a cosine to zero."""
    if progress < plan.warm_up_epochs:
        return plan.peak_rate * (progress + 0.1) / (plan.warm_up_epochs + 0.1)
    share = (progress - plan.warm_up_epochs) / (plan.epochs - plan.warm_up_epochs)
    return plan.peak_rate * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


class Averager:
    """A moving average of all variables, batch norm's statistics included."""

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.decay = decay
        self.values = [tf.Variable(v.value, trainable=False) for v in model.variables]
        self.steps = 0

    def update(self, model: keras.Model) -> None:
        """Move the average a little towards the model."""
        self.steps += 1
        decay = tf.constant(min(self.decay, self.steps / (self.steps + 10.0)))
        _blend(self.values, [v.value for v in model.variables], decay)

    def copy_to(self, model: keras.Model) -> None:
        """Give the averaged values to a model of the same build."""
        for variable, value in zip(model.variables, self.values, strict=True):
            variable.assign(value)


@tf.function(reduce_retracing=True)
def _blend(averages: list[tf.Variable], values: list[tf.Tensor], decay: tf.Tensor) -> None:
    for average, value in zip(averages, values, strict=True):
        if average.dtype.is_floating:
            average.assign(average * decay + value * (1.0 - decay))
        else:
            average.assign(value)


def _copy(source: list[keras.Variable], target: list[keras.Variable]) -> None:
    for old, new in zip(source, target, strict=True):
        new.assign(old)


def _optimiser(plan: Plan, model: keras.Model) -> keras.optimizers.Optimizer:
    """AdamW; weight decay is for kernels, not for biases and batch norm."""
    optimiser = keras.optimizers.AdamW(
        plan.peak_rate, weight_decay=plan.weight_decay, beta_2=BETA_2
    )
    optimiser.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimiser.build(model.trainable_variables)
    return optimiser


def make_step(
    model: keras.Model, optimiser: keras.optimizers.Optimizer, stage: Stage
) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """The compiled step: stored pictures and classes in, loss out."""
    measure = keras.losses.BinaryCrossentropy(label_smoothing=LABEL_SMOOTHING)

    @tf.function
    def step(pictures: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        pictures, targets = augment(pictures, classes, stage.size, stage.strength)
        with tf.GradientTape() as tape:
            loss = measure(targets, model(pictures, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP_NORM)
        optimiser.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def batches(count: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Shuffled indices, a whole number of batches."""
    order = random.permutation(count)
    for start in range(0, count - BATCH + 1, BATCH):
        yield order[start : start + BATCH]


class Run:
    """One training run: model, optimiser and average, carried from stage to stage."""

    def __init__(self, plan: Plan, pictures: np.ndarray, classes: np.ndarray) -> None:
        keras.utils.set_random_seed(plan.seed)
        self.plan, self.pictures = plan, pictures
        self.targets = classes.astype(np.float32)[:, None]
        self.random = np.random.default_rng(plan.seed)
        self.model = build(plan.stages[0].size)
        self.optimiser = _optimiser(plan, self.model)
        self.average = Averager(self.model, plan.average_decay)
        self.done = 0

    def enter(self, stage: Stage) -> None:
        """The same weights and momenta, for pictures of the stage's size."""
        model = build(stage.size)
        optimiser = _optimiser(self.plan, model)
        _copy(self.model.variables, model.variables)
        _copy(self.optimiser.variables, optimiser.variables)
        self.model, self.optimiser = model, optimiser
        self.step = make_step(model, optimiser, stage)

    def epoch(self) -> float:
        """One pass over the photographs; returns the mean loss."""
        losses = []
        per_epoch = len(self.pictures) // BATCH
        for number, rows in enumerate(batches(len(self.pictures), self.random)):
            self.optimiser.learning_rate = rate_at(self.plan, self.done + number / per_epoch)
            losses.append(self.step(self.pictures[rows], self.targets[rows]))
            self.average.update(self.model)
        self.done += 1
        return float(np.mean(losses))


def train(
    plan: Plan,
    pictures: np.ndarray,
    classes: np.ndarray,
    watch: Callable[[int, Averager, Stage], str] = lambda *_: "",
) -> Averager:
    """Run the whole plan and return the averaged weights. `watch` may add words to a line."""
    run, begun = Run(plan, pictures, classes), time.monotonic()
    for stage in plan.stages:
        run.enter(stage)
        for _ in range(stage.epochs):
            loss = run.epoch()
            words = watch(run.done, run.average, stage)
            where = f"epoch {run.done}/{plan.epochs} size {stage.size}"
            print(f"{where} loss {loss:.4f} {words} {time.monotonic() - begun:.0f} s", flush=True)
    return run.average
