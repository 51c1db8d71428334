"""What Alembic runs: the steps, on the connection that ``tintype.record.migrate`` hands over."""

from alembic import context

from tintype.record.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
