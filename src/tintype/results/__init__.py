"""A model's raw outputs become labels and boxes. Pure functions on one picture's rows."""
