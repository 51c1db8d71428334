"""What each layer computes: one small function a kind, found by its class name in ``table``."""
