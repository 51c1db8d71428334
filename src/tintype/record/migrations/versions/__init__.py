"""One step each, both ways. The newest is the schema in ``tintype.record.tables``."""
