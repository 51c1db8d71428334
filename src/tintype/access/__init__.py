"""Who may ask, and how much: API keys, sessions, limits. Knows no HTTP."""
