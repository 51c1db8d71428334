"""From settings and cards to running services, and back down."""
