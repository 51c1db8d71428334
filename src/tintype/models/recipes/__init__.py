"""Which recipe a model file asks for, told by the file and by what its weights remember."""
