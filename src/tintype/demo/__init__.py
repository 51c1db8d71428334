"""Bundled models, their cards, and pictures to try them on. Data only."""
