"""A model asked about any number of pictures, on this machine: sources, the road, what is kept."""
