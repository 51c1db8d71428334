"""Byte formats shared by several parts. Knows nothing of models, engines or HTTP."""
