"""The tables, as the newest migration leaves them; what columns mean: docs/reference/record.md.

Times are whole milliseconds since 1970 (UTC), so that days and weeks are whole-number divisions
in every database. Durations are seconds. JSON is text, written and read by msgspec.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

METADATA = MetaData()

models = Table(
    "models",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
)

predictions = Table(
    "predictions",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("key_name", Text, nullable=False),
    Column("image_sha256", Text, nullable=False),
    Column("image_bytes", BigInteger, nullable=False),
    Column("image_width", Integer, nullable=False),
    Column("image_height", Integer, nullable=False),
    Column("image_format", Text, nullable=False),
    Column("image_orientation", SmallInteger, nullable=False),
    Column("decode_s", Double, nullable=False),
    Column("prepare_s", Double, nullable=False),
    Column("queue_s", Double, nullable=False),
    Column("run_s", Double, nullable=False),
    Column("total_s", Double, nullable=False),
    Column("brightness", Double),
    Column("contrast", Double),
    Column("colour", Double),
    Column("detail", Double),
    Index("predictions_at", "at_ms"),
    Index("predictions_image", "image_sha256"),
)

results = Table(
    "results",
    METADATA,
    Column("prediction_id", Text, ForeignKey(predictions.c.id), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("model_id", Integer, ForeignKey(models.c.id), nullable=False),
    Column("point_x", Double),
    Column("point_y", Double),
    Column("label", Text),
    Column("score", Double),
    Column("labels", Text),
    Column("boxes", Text),
    Column("error", Text),
    Column("error_detail", Text),
    Column("seconds", Double, nullable=False),
    Index("results_mix", "model_id", "at_ms", "label", "score"),
    sqlite_with_rowid=False,
)

differences = Table(
    "differences",
    METADATA,
    Column("prediction_id", Text, ForeignKey(predictions.c.id), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("model_id", Integer, ForeignKey(models.c.id), nullable=False),
    Column("label", Text),
    Column("score", Double),
    Column("labels", Text),
    Column("boxes", Text),
    Index("differences_at", "at_ms"),
)

feedback = Table(
    "feedback",
    METADATA,
    Column("prediction_id", Text, ForeignKey(predictions.c.id), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("predicted_ms", BigInteger, nullable=False),
    Column("model_id", Integer, ForeignKey(models.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("correct", Boolean, nullable=False),
    Column("predicted", Text),
    Column("score", Double),
    Column("right_label", Text),
    Column("rank", Integer),
    Column("listed", Integer, nullable=False),
    Column("key_name", Text, nullable=False),
    Index("feedback_model", "model_id", "predicted_ms", "correct", "score"),
    Index(
        "feedback_labels",
        "model_id",
        "right_label",
        "predicted",
        "rank",
        "listed",
        "predicted_ms",
    ),
    Index("feedback_at", "at_ms"),
)

refusals = Table(
    "refusals",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("key_name", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("image_bytes", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Index("refusals_at", "at_ms"),
)

pictures = Table(
    "pictures",
    METADATA,
    Column("sha256", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index("pictures_at", "at_ms"),
)

losses = Table(
    "losses",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
)
