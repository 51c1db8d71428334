"""Synthesised 9x9 patches: flat, shaded, shiny and patterned surfaces as a camera sees them.

A surface is made in sRGB, lit in linear light (brightness, white balance), given sensor noise
and blur, and often sent through a real JPEG encoder at low or high quality.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from colour_names import (
    CHROMATIC,
    LABELS,
    SHINY,
    SHINY_BASES,
    Chart,
    parse,
    to_linear,
    to_srgb,
)

CANVAS = 16
SIZE = 9
JPEG_SHARE = 0.5
FLAT_SHARE = {"silver": 0.0, "gold": 0.4, "rose gold": 0.35}


class PatchMaker:
    """Makes patches of a label from one random generator."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.chart = Chart()

    def make(self, per_label: int) -> tuple[np.ndarray, np.ndarray]:
        """uint8 patches and their label numbers, `per_label` of each."""
        parts = [self.make_label(label, per_label) for label in LABELS]
        return np.concatenate(parts), np.repeat(np.arange(len(LABELS)), per_label)

    def make_label(self, label: str, count: int) -> np.ndarray:
        """uint8 patches of one label."""
        if label == "multi-coloured":
            surface = self._pattern(self._many_colours(count))
        elif label == "black-and-white":
            surface = self._pattern(self._two_tones(count))
        elif label in SHINY:
            flat = round(count * FLAT_SHARE[label])
            surface = self._shiny(label, count - flat)
            if flat:
                surface = np.concatenate([surface, self._matte(label, flat)])
        else:
            surface = self._matte(label, count)
        return self._photograph(surface)

    def _ramps(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Two slopes from about -1 to 1 over the canvas: a random direction, and across it."""
        angle = self.random.uniform(0.0, 2.0 * np.pi, (count, 1, 1))
        y, x = np.mgrid[0:CANVAS, 0:CANVAS] / (CANVAS - 1) * 2.0 - 1.0
        cosine, sine = np.cos(angle), np.sin(angle)
        return cosine * x + sine * y, cosine * y - sine * x

    def _ramp(self, count: int) -> np.ndarray:
        return self._ramps(count)[0]

    def _matte(self, label: str, count: int) -> np.ndarray:
        """One colour with soft shading, some grain and now and then a foreign corner."""
        colour = self.chart.draw(label, count, self.random)[:, None, None, :]
        shade = self.random.uniform(0.0, 0.15, (count, 1, 1)) * self._ramp(count)
        grain = self._grain(count, 0.06) + self._streaks(count, 0.3)
        surface = colour * (1.0 + shade + grain)[..., None]
        return self._foreign_corner(surface, self.random.random(count) < 0.15)

    def _grain(self, count: int, reach: float) -> np.ndarray:
        """Texture in light and dark, such as cloth or wood has."""
        amount = self.random.uniform(0.0, reach, (count, 1, 1))
        return amount * self.random.normal(size=(count, CANVAS, CANVAS))

    def _streaks(self, count: int, reach: float) -> np.ndarray:
        """Hair, wood or grass in half of the patches: lines lighter and darker, no shine."""
        amount = self.random.uniform(0.0, reach, (count, 1, 1))
        amount *= self.random.random((count, 1, 1)) < 0.5
        lines = self.random.normal(size=(count, CANVAS, 1))
        rough = self.random.uniform(0.2, 1.0, (count, 1, 1))
        streaks = lines + rough * self.random.normal(size=(count, CANVAS, CANVAS))
        upright = self.random.random((count, 1, 1)) < 0.5
        return amount * np.where(upright, streaks.transpose(0, 2, 1), streaks)

    def _foreign_corner(self, surface: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Another colour at one side: the edge of the thing pointed at."""
        count = len(surface)
        other = self.random.uniform(0.0, 255.0, (count, 1, 1, 3))
        inside = self._ramp(count) > self.random.uniform(0.42, 0.8, (count, 1, 1))
        mask = (inside & chosen[:, None, None])[..., None]
        return np.where(mask, other, surface)

    def _shiny(self, label: str, count: int) -> np.ndarray:
        """Metal: dark and light bands, and a highlight that goes towards white."""
        bases = parse(SHINY_BASES[label])
        base = bases[self.random.integers(len(bases), size=count)][:, None, None, :]
        base = base + self.random.normal(0.0, 5.0, (count, 1, 1, 3))
        ramp = self._ramp(count)
        centre, width = self._column(count, -0.4, 0.4), self._column(count, 0.15, 0.5)
        highlight = self._column(count, 0.55, 1.0) * np.exp(-(((ramp - centre) / width) ** 2))
        waves, phase = self._column(count, 1.0, 5.0), self._column(count, 0.0, 6.28)
        bands = 1.0 - self._column(count, 0.1, 0.4) * (1.0 + np.cos(waves * ramp + phase)) / 1.4
        surface = base * (bands + self._grain(count, 0.03))[..., None]
        glow = 255.0 - (255.0 - base) * 0.25
        return surface + (glow - surface) * highlight[..., None]

    def _column(self, count: int, low: float, high: float) -> np.ndarray:
        return self.random.uniform(low, high, (count, 1, 1))

    def _many_colours(self, count: int) -> np.ndarray:
        """Four colours a patch, of at least three different names."""
        palette = np.stack([self.chart.draw(name, count, self.random) for name in CHROMATIC])
        extra = [self.chart.draw(name, count, self.random) for name in ("white", "black")]
        pick = np.argsort(self.random.random((len(CHROMATIC), count)), axis=0)[:4]
        colours = np.take_along_axis(palette, pick[..., None], axis=0)
        neutral = self.random.random((count, 1)) < 0.3
        colours[3] = np.where(neutral, extra[0], colours[3])
        colours[3] = np.where(self.random.random((count, 1)) < 0.1, extra[1], colours[3])
        return colours

    def _two_tones(self, count: int) -> np.ndarray:
        """Black and white, twice each, so that any pattern has both."""
        black, white = (self.chart.draw(name, count, self.random) for name in ("black", "white"))
        return np.stack([black, white, black, white])

    def _pattern(self, colours: np.ndarray) -> np.ndarray:
        """Stripes, checks or spots of four colours [4, count, 3]."""
        count = colours.shape[1]
        along, across = self._ramps(count)
        shift = self._column(count, 0.0, 4.0)
        stripes = np.floor(along * self._column(count, 2.6, 5.0) + shift)
        step = self._column(count, 1.8, 3.4)
        checks = np.floor(along * step + shift) + np.floor(across * step + shift)
        spots = self._spots(count)
        kind = self.random.integers(3, size=(count, 1, 1))
        which = np.choose(kind, [stripes, checks, spots]).astype(int) % 4
        return np.take_along_axis(
            colours.transpose(1, 0, 2), which.reshape(count, -1, 1), axis=1
        ).reshape(count, CANVAS, CANVAS, 3)

    def _spots(self, count: int) -> np.ndarray:
        """Which of 24 random points is nearest, by the pixel."""
        points = self.random.uniform(0, CANVAS, (count, 24, 2))
        y, x = np.mgrid[0:CANVAS, 0:CANVAS]
        gaps = np.hypot(
            y[None, None] - points[:, :, :1, None], x[None, None] - points[:, :, 1:, None]
        )
        return gaps.argmin(axis=1)

    def _photograph(self, surface: np.ndarray) -> np.ndarray:
        """Light, white balance, blur, noise, JPEG; then the 9x9 window."""
        count = len(surface)
        light = np.exp(self.random.uniform(-0.25, 0.12, (count, 1, 1, 1)))
        warmth = self.random.normal(0.0, 0.04, (count, 1, 1, 1))
        balance = 1.0 + warmth * np.array([1.0, 0.0, -1.0])
        pixels = to_srgb(to_linear(surface) * light * balance)
        pixels = _blur(pixels, self.random.uniform(0.0, 0.25, (count, 1, 1, 1)))
        noise = self.random.uniform(0.0, 7.0, (count, 1, 1, 1))
        pixels = pixels + noise * self.random.normal(size=pixels.shape)
        stored = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        for row in np.flatnonzero(self.random.random(count) < JPEG_SHARE):
            stored[row] = _through_jpeg(stored[row], int(self.random.integers(40, 96)))
        return self._window(stored)

    def _window(self, canvas: np.ndarray) -> np.ndarray:
        """9x9 pixels a little off the middle of each canvas."""
        corners = self.random.integers(2, CANVAS - SIZE - 1, size=(len(canvas), 2))
        windows = np.lib.stride_tricks.sliding_window_view(canvas, (SIZE, SIZE), axis=(1, 2))
        picked = windows[np.arange(len(canvas)), corners[:, 0], corners[:, 1]]
        return np.ascontiguousarray(picked.transpose(0, 2, 3, 1))


def _blur(pixels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mix each pixel with its neighbours, along rows and then along columns."""
    for axis in (1, 2):
        pad = [(1, 1) if i == axis else (0, 0) for i in range(4)]
        wide = np.pad(pixels, pad, mode="edge")
        before = np.take(wide, range(CANVAS), axis)
        after = np.take(wide, range(2, CANVAS + 2), axis)
        pixels = pixels * (1.0 - 2.0 * weight) + weight * (before + after)
    return pixels


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
