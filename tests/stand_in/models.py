"""Small real SavedModels for the stand-in: each answers by the colours of the picture.

``colours``   float32 [N, 32, 32, 3] in 0..1 -> ``probabilities`` [N, 3]: red, green, blue
``photo``     the same of float32 [N, 224, 224, 3]
``raw``       the same input as ``colours`` -> ``output_0``: logits
``encoded``   encoded pictures (string [N]) -> ``classes`` (string [N, 2], best first), ``scores``
``things``    uint8 [1, ?, ?, 3] (``image_tensor``) -> the outputs of the TF Object Detection API:
              one box around what is red, one around what is green
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

NAMES = ("red", "green", "blue")


def build(folder: Path) -> None:
    """Write every model as ``folder``/NAME/1, as TensorFlow Serving wants it."""
    for name, function in (
        ("colours", _colours(32)),
        ("photo", _colours(224)),
        ("raw", _raw()),
        ("encoded", _encoded()),
        ("things", _things()),
    ):
        path = folder / name / "1"
        if not path.is_dir():
            tf.saved_model.save(tf.Module(), str(path), signatures=function)


def _logits(pictures: tf.Tensor) -> tf.Tensor:
    return 8.0 * tf.reduce_mean(pictures, [1, 2])


def _colours(side: int):
    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.float32, name="picture")])
    def colours(picture):
        return {"probabilities": tf.nn.softmax(_logits(picture))}

    return colours.get_concrete_function()


def _raw():
    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="picture")])
    def raw(picture):
        return {"output_0": _logits(picture)}

    return raw.get_concrete_function()


def _encoded():
    def decode(data):
        picture = tf.io.decode_jpeg(data, channels=3)  # takes PNG as well, and no other format
        return tf.image.resize(tf.cast(picture, tf.float32) / 255.0, [32, 32])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def encoded(image_bytes):
        pictures = tf.map_fn(decode, image_bytes, fn_output_signature=tf.float32)
        scores, places = tf.math.top_k(tf.nn.softmax(_logits(pictures)), k=2)
        return {"classes": tf.gather(tf.constant(NAMES), places), "scores": scores}

    return encoded.get_concrete_function()


def _things():
    def box(mask):
        """ymin, xmin, ymax, xmax as fractions of the picture."""
        size = tf.cast(tf.shape(mask), tf.float32)
        where = tf.cast(tf.where(mask), tf.float32)
        low = tf.reduce_min(where, axis=0) / size
        high = (tf.reduce_max(where, axis=0) + 1.0) / size
        found = tf.shape(where)[0] > 0
        corners = tf.where(found, tf.concat([low, high], 0), tf.zeros(4))
        return corners, tf.where(found, 0.9, 0.0)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="image_tensor")])
    def things(image_tensor):
        levels = tf.cast(image_tensor[0], tf.int32)
        red, green = levels[..., 0] - levels[..., 1] > 128, levels[..., 1] - levels[..., 0] > 128
        (first, high), (second, low) = box(red), box(green)
        return {
            "detection_boxes": tf.stack([first, second])[None],
            "detection_classes": tf.constant([[1.0, 2.0]]),
            "detection_scores": tf.stack([high, low * 0.8])[None],
            "num_detections": tf.constant([2.0]),
            "raw_detection_boxes": tf.zeros([1, 1917, 4]),
        }

    return things.get_concrete_function()
