"""Bytes of a picture -> pixels -> the tensor a model takes. Pure: no network, no files."""
