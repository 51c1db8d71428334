"""How large a picture may be, asked of its header before any decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """Caps on what a header may declare.

    ``max_scan_pixels`` is pixels times scans: a progressive JPEG costs one pass a scan.
    ``max_bits`` is bits a sample. Pillow has a cap of its own (89 megapixels), which a larger
    ``max_pixels`` does not lift: it holds for what simplejpeg does not decode.
    """

    max_pixels: int = 50_000_000
    max_side: int = 32_768
    max_scans: int = 100
    max_scan_pixels: int = 2_500_000_000
    max_bits: int = 16
