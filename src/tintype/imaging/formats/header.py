"""What a picture says of itself before it is decoded."""

from __future__ import annotations

from msgspec import Struct


class Header(Struct, frozen=True, kw_only=True):
    """A picture's header.

    ``width`` and ``height`` are as stored; ``upright_width`` and ``upright_height`` are what
    people see once the EXIF ``orientation`` (1..8, 1 where there is none) is applied. ``bits``
    are bits a sample (a palette index counts as a sample), ``components`` the channels stored.
    ``icc`` tells of a colour profile other than sRGB.
    ``colour`` is ``grey``, ``rgb``, ``palette`` or ``cmyk``. ``scans`` is the number of passes of
    a JPEG, else 1. ``multi_picture`` tells of further pictures in the same JPEG (MPO).
    """

    format: str
    width: int
    height: int
    bits: int = 8
    components: int = 3
    colour: str = "rgb"
    orientation: int = 1
    scans: int = 1
    progressive: bool = False
    animated: bool = False
    alpha: bool = False
    icc: bool = False
    multi_picture: bool = False

    @property
    def upright_width(self) -> int:
        """Width in pixels as shown upright."""
        return self.height if self.orientation >= 5 else self.width

    @property
    def upright_height(self) -> int:
        """Height in pixels as shown upright."""
        return self.width if self.orientation >= 5 else self.height
