"""TensorFlow graphs read as data: frozen graphs and SavedModels, of TensorFlow 1 and 2."""
