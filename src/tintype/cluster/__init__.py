"""The same models, cards and web application on a Ray cluster. Only ``--on ray`` imports it."""
