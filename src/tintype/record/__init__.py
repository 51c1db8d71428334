"""The record: what was predicted, what people said of it, kept in SQLite or PostgreSQL."""
