"""Keras files read as data: configuration and weights in, ONNX out. Nothing is ever executed."""
