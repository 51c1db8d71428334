"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("first_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("key_name", sa.Text, nullable=False),
        sa.Column("image_sha256", sa.Text, nullable=False),
        sa.Column("image_bytes", sa.BigInteger, nullable=False),
        sa.Column("image_width", sa.Integer, nullable=False),
        sa.Column("image_height", sa.Integer, nullable=False),
        sa.Column("image_format", sa.Text, nullable=False),
        sa.Column("image_orientation", sa.SmallInteger, nullable=False),
        sa.Column("decode_s", sa.Double, nullable=False),
        sa.Column("prepare_s", sa.Double, nullable=False),
        sa.Column("queue_s", sa.Double, nullable=False),
        sa.Column("run_s", sa.Double, nullable=False),
        sa.Column("total_s", sa.Double, nullable=False),
        sa.Column("brightness", sa.Double),
        sa.Column("contrast", sa.Double),
        sa.Column("colour", sa.Double),
        sa.Column("detail", sa.Double),
    )
    op.create_index("predictions_at", "predictions", ["at_ms"])
    op.create_index("predictions_image", "predictions", ["image_sha256"])
    op.create_table(
        "results",
        sa.Column("prediction_id", sa.Text, sa.ForeignKey("predictions.id"), primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("point_x", sa.Double),
        sa.Column("point_y", sa.Double),
        sa.Column("label", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("labels", sa.Text),
        sa.Column("boxes", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("seconds", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("results_mix", "results", ["model_id", "at_ms", "label", "score"])
    op.create_table(
        "differences",
        sa.Column("prediction_id", sa.Text, sa.ForeignKey("predictions.id"), primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("labels", sa.Text),
        sa.Column("boxes", sa.Text),
    )
    op.create_index("differences_at", "differences", ["at_ms"])
    op.create_table(
        "feedback",
        sa.Column("prediction_id", sa.Text, sa.ForeignKey("predictions.id"), primary_key=True),
        sa.Column("position", sa.SmallInteger, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("predicted_ms", sa.BigInteger, nullable=False),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("correct", sa.Boolean, nullable=False),
        sa.Column("predicted", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("right_label", sa.Text),
        sa.Column("rank", sa.Integer),
        sa.Column("listed", sa.Integer, nullable=False),
        sa.Column("key_name", sa.Text, nullable=False),
    )
    op.create_index("feedback_model", "feedback", ["model_id", "predicted_ms", "correct", "score"])
    op.create_index(
        "feedback_labels",
        "feedback",
        ["model_id", "right_label", "predicted", "rank", "listed", "predicted_ms"],
    )
    op.create_index("feedback_at", "feedback", ["at_ms"])
    op.create_table(
        "refusals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("key_name", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("image_bytes", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
    )
    op.create_index("refusals_at", "refusals", ["at_ms"])
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_index("pictures_at", "pictures", ["at_ms"])
    op.create_table(
        "losses",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop every table, and with them all that was recorded."""
    op.drop_table("losses")
    op.drop_table("pictures")
    op.drop_table("refusals")
    op.drop_table("feedback")
    op.drop_table("differences")
    op.drop_table("results")
    op.drop_table("predictions")
    op.drop_table("models")
