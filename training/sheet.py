"""A surface to draw the demo pictures on: smooth edges, a little grain."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from colour_names import parse

WIDTH, HEIGHT, FINE = 640, 480, 3
SEED = 4


class Sheet:
    """A drawing surface in picture coordinates, three times finer than the picture."""

    def __init__(self, top: str, bottom: str) -> None:
        shade = np.linspace(0.0, 1.0, HEIGHT * FINE)[:, None, None]
        first, last = parse(f"{top} {bottom}")
        rows = np.broadcast_to(first + (last - first) * shade, (HEIGHT * FINE, WIDTH * FINE, 3))
        self.image = Image.fromarray(rows.astype(np.uint8))
        self.draw = ImageDraw.Draw(self.image)

    def oval(  # noqa: PLR0913 - an ellipse has six numbers
        self, x: float, y: float, wide: float, high: float, code: str, *, turn: float = 0.0
    ) -> None:
        """A filled ellipse around (x, y), turned by degrees."""
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points = []
        for step in range(120):
            angle = step * math.tau / 120
            u, v = wide * math.cos(angle), high * math.sin(angle)
            points.append((x + u * cosine - v * sine, y + u * sine + v * cosine))
        self.shape(points, code)

    def shape(self, points: list[tuple[float, float]], code: str) -> None:
        """A filled polygon."""
        self.draw.polygon([(x * FINE, y * FINE) for x, y in points], fill=f"#{code}")

    def line(self, points: list[tuple[float, float]], width: float, code: str) -> None:
        """A line with round joints and ends."""
        fine = [(x * FINE, y * FINE) for x, y in points]
        self.draw.line(fine, fill=f"#{code}", width=round(width * FINE), joint="curve")
        for x, y in points:
            self.oval(x, y, width / 2, width / 2, code)

    def tail(self, bends: list[tuple[float, float]], width: float, code: str) -> None:
        """A line that follows a Bezier curve through four points."""
        curve = []
        for step in range(41):
            t = step / 40
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            x = sum(w * bend[0] for w, bend in zip(weights, bends, strict=True))
            y = sum(w * bend[1] for w, bend in zip(weights, bends, strict=True))
            curve.append((x, y))
        self.line(curve, width, code)

    def arc(self, x: float, y: float, r: float, angles: tuple[float, float]) -> None:
        """A dark arc: a mouth."""
        start, end = angles
        steps = [math.radians(start + (end - start) * i / 24) for i in range(25)]
        curve = [(x + r * math.cos(a), y + r * math.sin(a)) for a in steps]
        self.line(curve, 4, "2a1d16")

    def eye(self, x: float, y: float, iris: str, *, slit: bool = False) -> None:
        """An eye with a highlight."""
        self.oval(x, y, 17, 19, "fdfdfb")
        self.oval(x, y + 1, 13, 15, iris)
        self.oval(x, y + 1, 5 if slit else 9, 13 if slit else 10, "17110d")
        self.oval(x - 5, y - 6, 4, 4.5, "ffffff")

    def finish(self, grain: float = 5.0) -> Image.Image:
        """The picture at its size, with a little grain as from a camera."""
        small = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        noise = np.random.default_rng(SEED).normal(0.0, grain, (HEIGHT, WIDTH, 1))
        blurred = small.filter(ImageFilter.GaussianBlur(0.6))
        return Image.fromarray(np.clip(np.asarray(blurred) + noise, 0, 255).astype(np.uint8))
