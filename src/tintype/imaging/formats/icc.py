"""Colour profiles, only as far as one question: is this plain sRGB, which needs no remark?"""

from __future__ import annotations

_SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))
"""How the description is written in version 2 and in version 4 profiles (ICC.1:2022, 9.2.41)."""


def is_srgb(profile: bytes) -> bool:
    """Tell whether ``profile`` (bytes of an ICC profile, or its beginning) names itself sRGB."""
    return any(name in profile for name in _SRGB)
