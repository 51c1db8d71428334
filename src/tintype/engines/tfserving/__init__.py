"""A model that a TensorFlow Serving runs, asked over gRPC or REST."""
