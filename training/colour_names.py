"""Which sRGB values people call by which colour name.

The values are medians of the xkcd colour survey (Munroe 2010, 222,500 sessions; the list
https://xkcd.com/color/rgb.txt is in the public domain, CC0), gathered under the fifteen names
that a flat colour can have. A few neighbours come from the CSS Color Module (marked CSS) or are
chosen here (marked own): the survey has no near-white paper, no black cloth in daylight, and no
rose gold. A colour belongs to the name of its nearest value in CIELAB (CIE76 distance).
"""

from __future__ import annotations

import numpy as np

ANCHORS: dict[str, str] = {
    # own: 1c1c1e 262626 0b0b14, black cloth and plastic in light
    "black": "000000 070d0d 1c1c1e 262626 0b0b14",
    # CSS: whitesmoke, snow, ghostwhite, floralwhite
    "white": "ffffff f5f5f5 fffafa f8f8ff fffaf0",
    # CSS: gray, dimgray, darkgray, silver (its flat colour; the name needs a shine, see below)
    "grey": "929591 3c4142 d8dcd6 59656d 6f828a 7d7f7c 95a3a6 978a84 808080 696969 a9a9a9 c0c0c0",
    "gold": "dbb40c b59410 a87900 9b7a01 d4af37",  # own: d4af37, gold leaf
    # own: rose gold alloys, light to dark
    "rose gold": "b76e79 c58b82 d9a197 c08081",
    "red": "e50000 840000 8c000f be0119 8f1402 ff000d 980002 f7022a 650021 ef4026 a03623",
    "orange": "f97306 c65102 ff5b00 fdaa48 ff9408 e17701 ffa756 feb308",
    "yellow": "ffff14 fffd01 fffe7a fdff52 ffda03 ffff84 fffe40 fafe4b d5d00a",  # own: d5d00a
    "green": "15b01a 033500 96f97b 89fe05 06470c 01ff07 3f9b0b 677a04 aaff32 c7fdb5 6e750e "
    "02ab2e 01a049 87ae73 9ffeb0 5ca904",
    "blue": "0343df 00035b 95d0fc 75bbfd 0504aa 001146 0165fc a2cffe 3b638c 5a7d9a 5170d7",
    "turquoise": "06c2ac 029386 00ffff 13eac9 04d8b2 014d4e 045c5a 90e4c1 0ffef9 0a888a",
    "purple": "7e1e9c 35063e bf77f6 9a0eea c79fef be03fd 580f41 380282 4b006e b790d4",
    "pink": "ff81c0 ff028d ffd1df cb416b fe01b1 ffcfdc c20078 ffb7ce cb0162 ed0dd9 f7879a",
    "brown": "653700 341c02 ad8150 3d1c02 7f2b0a 7f5112 742802 a6814c 8b3103 6b4a2b",  # own: last
    # CSS: beige, antiquewhite, tan
    "beige": "e6daa6 d1b26f fbeeac d3b683 ac9362 b9a281 f5f5dc faebd7 d2b48c e8d8c0",  # own: last
}
SHINY = ("silver", "gold", "rose gold")
SHINY_BASES: dict[str, str] = {
    "silver": "a9abae b5b8b9 9a9da0 c0c0c0 8d9196",
    "gold": "c9a227 d4af37 b8922b dbb40c c79f3a",
    "rose gold": "b76e79 c58b82 c9938a b9796e d0a096",
}
PATTERNS = ("multi-coloured", "black-and-white")
LABELS = (
    "black", "white", "grey", "silver", "gold", "rose gold", "red", "orange", "yellow", "green",
    "blue", "turquoise", "purple", "pink", "brown", "beige", "multi-coloured", "black-and-white",
)  # fmt: skip
CHROMATIC = ("red", "orange", "yellow", "green", "blue", "turquoise", "purple", "pink")
NEAR_SPREAD, FAR_SPREAD = 6.0, 28.0
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE_D65 = np.array([0.95047, 1.0, 1.08883])


def parse(codes: str) -> np.ndarray:
    """Hexadecimal codes -> sRGB rows 0..255."""
    return np.array([list(bytes.fromhex(code)) for code in codes.split()], np.float64)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """From sRGB 0..255 to linear light 0..1 (IEC 61966-2-1)."""
    s = np.clip(srgb, 0.0, 255.0) / 255.0
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """From linear light to sRGB 0..255, clipped."""
    c = np.clip(linear, 0.0, 1.0)
    return 255.0 * np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)


def to_lab(srgb: np.ndarray) -> np.ndarray:
    """From sRGB 0..255 to CIELAB under D65."""
    t = to_linear(srgb) @ _TO_XYZ.T / _WHITE_D65
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16.0 / 116.0)
    return np.stack(
        [
            116.0 * f[..., 1] - 16.0,
            500.0 * (f[..., 0] - f[..., 1]),
            200.0 * (f[..., 1] - f[..., 2]),
        ],
        axis=-1,
    )


class Chart:
    """Draws colours of a name, and names colours."""

    def __init__(self) -> None:
        self.names = tuple(ANCHORS)
        rows = [parse(codes) for codes in ANCHORS.values()]
        self.owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        self.lab = to_lab(np.concatenate(rows))

    def name_of(self, srgb: np.ndarray) -> np.ndarray:
        """Number of the name that owns the nearest value, for each row."""
        gaps = np.linalg.norm(to_lab(srgb)[:, None, :] - self.lab[None], axis=-1)
        return self.owner[gaps.argmin(axis=1)]

    def draw(self, name: str, count: int, random: np.random.Generator) -> np.ndarray:
        """`count` sRGB rows that are called `name`: half near its values, half further off."""
        number = self.names.index(name)
        anchors = parse(ANCHORS[name])
        kept: list[np.ndarray] = []
        while sum(map(len, kept)) < count:
            first, second = random.integers(len(anchors), size=(2, count))
            part = random.uniform(0.0, 0.5, (count, 1)) * (random.random((count, 1)) < 0.5)
            rows = anchors[first] * (1.0 - part) + anchors[second] * part
            spread = np.where(random.random((count, 1)) < 0.5, NEAR_SPREAD, FAR_SPREAD)
            rows = np.clip(rows + spread * random.normal(size=(count, 3)), 0.0, 255.0)
            kept.append(rows[self.name_of(rows) == number])
        return np.concatenate(kept)[:count]
