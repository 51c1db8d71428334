"""HTTP in, JSON or HTML out: the page, the API, and their documents."""
