"""The schema's history, a file a step. ``tintype.record.migrate`` runs them."""
