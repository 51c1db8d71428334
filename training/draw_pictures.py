"""Draw the demo pictures, and fetch nothing.

    python training/draw_pictures.py

Writes dog.jpg, cat.jpg and colours.png into src/tintype/demo/pictures. The one photograph there,
chelsea.jpg, comes from scikit-image; its README says how.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont

from colour_names import LABELS, parse
from sheet import FINE, HEIGHT, SEED, WIDTH, Sheet

PICTURES = Path(__file__).resolve().parent.parent / "src/tintype/demo/pictures"
FLAT = {
    "black": "121212", "white": "fbfbfb", "grey": "8c8c8c", "red": "dc1e1e", "orange": "f57c0a",
    "yellow": "ffe81a", "green": "2a9d3a", "blue": "1e5ad2", "turquoise": "1cc0b4",
    "purple": "7e2f9e", "pink": "ff82b8", "brown": "6e4020", "beige": "e4d5b0",
}  # fmt: skip
METAL = {
    "silver": ("6f7377", "b4b8bb", "f6f8fa"),
    "gold": ("8a6a10", "d4af37", "fff3c0"),
    "rose gold": ("8a4f55", "c0838a", "fbe3df"),
}
CONFETTI = ("dc1e1e", "ffe81a", "2a9d3a", "1e5ad2", "f57c0a", "7e2f9e")


def fur(sheet: Sheet, box: tuple[float, float, float, float], codes: str, count: int) -> None:
    """Short hairs in an oval x, y, wide, high, pointing away from its middle."""
    random = np.random.default_rng(SEED)
    colours = codes.split()
    x, y, wide, high = box
    for _ in range(count):
        a, r = random.uniform(0, math.tau), math.sqrt(random.uniform(0, 1))
        u, v = x + wide * r * math.cos(a), y + high * r * math.sin(a)
        long = random.uniform(5, 12)
        lean = random.normal(0, 0.25) + a
        end = (u + long * math.cos(lean) * 0.5, v + abs(long * math.sin(lean)) * 0.6 + 3)
        ink = f"#{colours[random.integers(len(colours))]}"
        sheet.draw.line([(u * FINE, v * FINE), (end[0] * FINE, end[1] * FINE)], fill=ink, width=3)


def meadow(sheet: Sheet) -> None:
    """Grass along the lower part of the picture."""
    sheet.oval(160, 560, 460, 210, "5d9b3c")
    sheet.oval(560, 580, 420, 210, "4f8c34")
    random = np.random.default_rng(SEED)
    for _ in range(1500):
        x, y = random.uniform(0, WIDTH), random.uniform(400, HEIGHT)
        tip = (x + random.normal(0, 4), y - random.uniform(6, 16))
        ink = ("#6fae48", "#437a2b", "#84bd5a")[random.integers(3)]
        sheet.draw.line([(x * FINE, y * FINE), (tip[0] * FINE, tip[1] * FINE)], fill=ink, width=4)


def dog() -> Image.Image:
    """A friendly brown dog on grass, with a red collar."""
    sheet = Sheet("a9d4f0", "e6f3f8")
    meadow(sheet)
    sheet.tail([(405, 420), (500, 390), (520, 320), (480, 270)], 28, "8a5a30")
    sheet.oval(320, 420, 125, 130, "9c6a3a")
    fur(sheet, (320, 420, 122, 125), "8a5a30 ad7a47 7c4f2a b88752", 3000)
    sheet.oval(320, 440, 62, 95, "ecd9ba")
    for x in (262, 378):
        sheet.oval(x, 425, 30, 75, "93612f")
        fur(sheet, (x, 425, 29, 72), "8a5a30 ad7a47 7c4f2a", 700)
        sheet.oval(x, 470, 38, 18, "ecd9ba")
    sheet.oval(320, 200, 118, 112, "a5723f")
    fur(sheet, (320, 200, 116, 108), "93612f ad7a47 b88752 8a5a30", 3600)
    collar_and_face(sheet)
    return sheet.finish()


def collar_and_face(sheet: Sheet) -> None:
    """The dog's ears, muzzle, eyes, tongue and red collar with a golden tag."""
    sheet.line([(235, 306), (275, 322), (320, 327), (365, 322), (405, 306)], 26, "dc1e1e")
    sheet.oval(320, 346, 17, 17, "d4af37")
    for x, turn in ((212, 14), (428, -14)):
        sheet.oval(x, 205, 36, 98, "6b4223", turn=turn)
        fur(sheet, (x, 205, 30, 92), "5a3519 7c4f2a 6b4223", 1100)
    sheet.oval(320, 160, 20, 66, "ecd9ba")
    sheet.oval(320, 247, 70, 52, "f1e2c8")
    sheet.oval(320, 292, 20, 30, "ef7d8c")
    sheet.oval(320, 262, 52, 24, "f1e2c8")
    sheet.oval(320, 222, 30, 21, "1c1512")
    sheet.oval(311, 214, 8, 4, "6a6360")
    sheet.line([(320, 240), (320, 260)], 4, "2a1d16")
    sheet.arc(296, 254, 25, (20, 150))
    sheet.arc(344, 254, 25, (30, 160))
    for x in (270, 370):
        sheet.eye(x, 178, "5b3415")


def cat() -> Image.Image:
    """A grey tabby on a cushion."""
    sheet = Sheet("f3e3cf", "e2c9a8")
    sheet.oval(320, 470, 285, 75, "1f7f86")
    sheet.oval(320, 462, 270, 60, "27979c")
    sheet.tail([(400, 440), (540, 450), (560, 350), (500, 290)], 28, "747a80")
    sheet.oval(320, 400, 115, 115, "8a9096")
    fur(sheet, (320, 400, 112, 110), "747a80 9aa0a5 666c72 a8adb1", 3000)
    sheet.oval(320, 425, 50, 75, "eef0f0")
    for x in (285, 355):
        sheet.oval(x, 478, 30, 18, "eef0f0")
    for side in (-1, 1):
        ear = ((30, 122), (112, 55), (118, 190))
        inner = ((55, 120), (100, 82), (103, 165))
        sheet.shape([(320 + side * x, y) for x, y in ear], "7d8389")
        sheet.shape([(320 + side * x, y) for x, y in inner], "e8b3ad")
    sheet.oval(320, 210, 122, 100, "8f959b")
    fur(sheet, (320, 210, 119, 96), "7d8389 9aa0a5 848a90 a8adb1", 3600)
    cat_face(sheet)
    return sheet.finish()


def cat_face(sheet: Sheet) -> None:
    """Stripes, eyes, nose, mouth and whiskers."""
    for x, lean in ((290, -6), (320, 0), (350, 6)):
        sheet.line([(x, 125), (x + lean * 0.3, 160)], 9, "53595f")
    for side in (-1, 1):
        for y in (205, 228):
            sheet.line([(320 + side * 116, y), (320 + side * 84, y + 8)], 7, "53595f")
        sheet.oval(320 + side * 24, 256, 33, 25, "f1f2f2")
        sheet.eye(320 + side * 50, 200, "9bbf3c", slit=True)
        sheet.arc(320 + side * 15, 258, 15, (10, 170))
        for y in (248, 258, 268):
            far = (320 + side * 150, y + (y - 258) * 2 - 6)
            sheet.line([(320 + side * 40, y), far], 1.6, "fafafa")
    sheet.shape([(305, 232), (335, 232), (320, 248)], "d9808a")


def metal(codes: tuple[str, str, str], wide: int, high: int) -> Image.Image:
    """A brushed sheet: narrow bands from dark over plain to a highlight, aslant."""
    dark, plain, light = parse(" ".join(codes))
    y, x = np.mgrid[0:high, 0:wide] / FINE
    wave = np.sin((x + 0.6 * y) * math.tau / 17.0)[..., None]
    rows = np.where(wave > 0, plain + (light - plain) * wave, plain + (plain - dark) * wave)
    noise = np.random.default_rng(SEED).normal(0, 3, (high, wide, 1))
    return Image.fromarray(np.clip(rows + noise, 0, 255).astype(np.uint8))


def stripes(codes: tuple[str, ...], wide: int, high: int) -> Image.Image:
    """Upright stripes, three picture pixels each."""
    which = (np.arange(wide) // (FINE * 3)) % len(codes)
    return Image.fromarray(np.tile(parse(" ".join(codes))[which].astype(np.uint8), (high, 1, 1)))


def tile(label: str, wide: int, high: int) -> Image.Image:
    """The surface that shows a colour's name best."""
    if label in METAL:
        return metal(METAL[label], wide, high)
    if label == "multi-coloured":
        return stripes(CONFETTI, wide, high)
    if label == "black-and-white":
        return stripes(("0a0a0a", "ffffff"), wide, high)
    return Image.new("RGB", (wide, high), f"#{FLAT[label]}")


def swatch_box(number: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a swatch: six a row, three rows."""
    column, row = number % 6, number // 6
    left, top = 20 + column * 101, 22 + row * 152
    return left, top, left + 92, top + 104


def colours() -> Image.Image:
    """A swatch card: the 18 colours with their names."""
    sheet = Sheet("e9ecef", "dfe3e7")
    font = ImageFont.load_default(size=12 * FINE)
    for number, label in enumerate(LABELS):
        left, top, right, bottom = (edge * FINE for edge in swatch_box(number))
        frame = (left - FINE, top - FINE, right + FINE, bottom + FINE)
        sheet.draw.rectangle(frame, fill="#b9bfc5")
        sheet.image.paste(tile(label, right - left, bottom - top), (left, top))
        middle = ((left + right) // 2, bottom + 16 * FINE)
        sheet.draw.text(middle, label, fill="#30363c", font=font, anchor="mm")
    return sheet.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw and save all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[], Image.Image]] = {"dog": dog, "cat": cat}
    for name, drawing in drawings.items():
        drawing().save(PICTURES / f"{name}.jpg", quality=82, optimize=True)
    colours().quantize(256, dither=Image.Dither.NONE).save(PICTURES / "colours.png", optimize=True)
    for path in sorted(PICTURES.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()
