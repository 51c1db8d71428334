"""TensorFlow Lite files, read with a bounded reader of our own."""
