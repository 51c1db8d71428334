"""The routes of older systems, kept for their clients: docs/reference/compat.md. Off by default."""
