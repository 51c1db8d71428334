"""What a model file is and says, found by reading it as data. Nothing in a file is ever run."""
