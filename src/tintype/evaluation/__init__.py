"""How good a model is on a folder of labelled pictures."""
