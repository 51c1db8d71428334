"""Random changes to a batch of photographs, written as TensorFlow graph code.

Used while training only: nothing of this ends up in a model file.
The kinds of change and their usual strengths follow the literature: random resized crop
(Szegedy et al. 2014), mixup (Zhang et al. 2017), cutout (DeVries and Taylor 2017) and CutMix
(Yun et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

GREY = 117.0
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Strength:
    """How far each random change may go."""

    smallest_area: float = 0.4
    aspect: float = 0.28
    degrees: float = 15.0
    light: float = 0.35
    saturation: float = 0.5
    tint: float = 0.12
    grey_share: float = 0.08
    cutout_share: float = 0.3
    mix_share: float = 0.3


MILD = Strength(
    smallest_area=0.7, aspect=0.12, degrees=6.0, light=0.15, saturation=0.2, tint=0.05,
    grey_share=0.02, cutout_share=0.0, mix_share=0.0,
)  # fmt: skip


def _uniform(count: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.random.uniform([count], low, high)


def _chance(count: tf.Tensor, share: float) -> tf.Tensor:
    return tf.cast(tf.random.uniform([count]) < share, tf.float32)


def random_view(images: tf.Tensor, size: int, strength: Strength) -> tf.Tensor:
    """Crop, stretch, turn and mirror each picture, and sample it at `size` x `size`."""
    count = tf.shape(images)[0]
    source = tf.cast(tf.shape(images)[1], tf.float32)
    side = tf.sqrt(_uniform(count, strength.smallest_area, 1.0))
    aspect = tf.exp(_uniform(count, -strength.aspect, strength.aspect))
    wide = tf.minimum(side * aspect, 1.0)
    high = tf.minimum(side / aspect, 1.0)
    centre_x = 0.5 + (1.0 - wide) * _uniform(count, -0.5, 0.5)
    centre_y = 0.5 + (1.0 - high) * _uniform(count, -0.5, 0.5)
    mirror = 1.0 - 2.0 * _chance(count, 0.5)
    angle = _uniform(count, -strength.degrees, strength.degrees) * 0.0174533
    scale = source / float(size)
    ax, bx = mirror * wide * tf.cos(angle) * scale, -wide * tf.sin(angle) * scale
    ay, by = mirror * high * tf.sin(angle) * scale, high * tf.cos(angle) * scale
    middle = (size - 1) / 2.0
    cx = centre_x * source - 0.5 - (ax + bx) * middle
    cy = centre_y * source - 0.5 - (ay + by) * middle
    zero = tf.zeros_like(cx)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([ax, bx, cx, ay, by, cy, zero, zero], axis=1),
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def random_light(images: tf.Tensor, strength: Strength) -> tf.Tensor:
    """Change brightness, contrast, saturation and tint of each picture (0..255 in and out)."""
    count = tf.shape(images)[0]

    def factor(reach: float, channels: int = 1) -> tf.Tensor:
        return tf.exp(tf.random.uniform([count, 1, 1, channels], -reach, reach))

    luma = tf.reduce_sum(images * tf.constant(LUMA), axis=-1, keepdims=True)
    colour = 1.0 - _chance(count, strength.grey_share)[:, None, None, None]
    images = luma + (images - luma) * factor(strength.saturation) * colour
    mean = tf.reduce_mean(luma, axis=[1, 2], keepdims=True)
    images = mean + (images - mean) * factor(strength.light)
    images *= factor(strength.light) * factor(strength.tint, 3)
    return tf.clip_by_value(images, 0.0, 255.0)


def _boxes(count: tf.Tensor, size: int, area: tf.Tensor) -> tf.Tensor:
    """Masks with one random box each, 1 inside; `area` is the share of the picture."""
    half = tf.sqrt(area)[:, None] * size / 2.0
    line = tf.range(size, dtype=tf.float32)[None, :]
    inside_x = tf.abs(line - _uniform(count, 0, size)[:, None]) < half
    inside_y = tf.abs(line - _uniform(count, 0, size)[:, None]) < half
    return tf.cast(inside_y[:, :, None] & inside_x[:, None, :], tf.float32)[..., None]


def cutout(images: tf.Tensor, size: int, share: float) -> tf.Tensor:
    """Cover a box with grey in some of the pictures."""
    count = tf.shape(images)[0]
    mask = _boxes(count, size, _uniform(count, 0.02, 0.2) * _chance(count, share))
    return images * (1.0 - mask) + GREY * mask


def mix(
    images: tf.Tensor, targets: tf.Tensor, size: int, share: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend some pictures with their neighbour in the batch: half mixup, half CutMix."""
    count = tf.shape(images)[0]
    others, other_targets = tf.roll(images, 1, 0), tf.roll(targets, 1, 0)
    chosen, blend = _chance(count, share), _chance(count, 0.5)
    amount = _uniform(count, 0.0, 0.5)
    boxes = _boxes(count, size, amount)
    weight = (blend * amount)[:, None, None, None] + (1.0 - blend)[:, None, None, None] * boxes
    weight *= chosen[:, None, None, None]
    part = tf.reduce_mean(weight, axis=[1, 2])
    return (
        images * (1.0 - weight) + others * weight,
        targets * (1.0 - part) + other_targets * part,
    )


def augment(
    images: tf.Tensor, targets: tf.Tensor, size: int, strength: Strength
) -> tuple[tf.Tensor, tf.Tensor]:
    """One batch of stored pictures (0..255) and targets -> one batch to learn from."""
    images = random_view(tf.cast(images, tf.float32), size, strength)
    images = random_light(images, strength)
    if strength.cutout_share:
        images = cutout(images, size, strength.cutout_share)
    if strength.mix_share:
        images, targets = mix(images, targets, size, strength.mix_share)
    return images, targets
