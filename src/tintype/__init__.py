"""Tintype serves TensorFlow and Keras image models without TensorFlow."""

__version__ = "0.1.0"
