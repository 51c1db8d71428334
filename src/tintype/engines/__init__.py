"""One stacked batch in, one row of raw outputs a picture out."""
