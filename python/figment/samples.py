"""Samples that show themselves."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any, Optional, Tuple

import numpy as np


class Samples(np.ndarray):
    """An array of samples, f32, in the exporter's layout: [N, channels, height, width] of images, [N, steps, features] of
    sequences, [N, values] else. In a notebook it shows itself as a picture.

    `value_range` are the values of black and white of images; None: no images.
    """

    value_range: Optional[Tuple[float, float]] = None

    def __new__(cls, array: Any, value_range: Optional[Tuple[float, float]] = None) -> Samples:
        result = np.asarray(array, np.float32).view(cls)
        result.value_range = value_range
        return result

    def __array_finalize__(self, other: Any) -> None:
        if other is not None:
            self.value_range = getattr(other, "value_range", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        # What is computed from samples has another range: a plain array, or a number.
        result = np.asarray(array)
        return result[()] if result.ndim == 0 else result

    def grid(self, columns: Optional[int] = None, scale: int = 2) -> np.ndarray:
        """The images side by side: uint8, [height, width] in gray or [height, width, 3]. `columns` a row, by default as many as
        rows; a pixel of a sample takes `scale` by `scale`. ValueError if the samples are no images."""
        if self.value_range is None or self.ndim not in (3, 4) or (self.ndim == 4 and self.shape[1] not in (1, 3)):
            raise ValueError(f"samples of the shape {list(self.shape)} are no images")
        images = np.asarray(self) if self.ndim == 4 else np.asarray(self)[None]
        count, channels, height, width = images.shape
        columns = columns or max(1, math.ceil(math.sqrt(count)))
        rows = max(1, math.ceil(count / columns))
        low, high = self.value_range
        gap = 1
        canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
        pixels = np.clip(np.nan_to_num((images - low) * (255 / (high - low))) + 0.5, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
        for i in range(count):
            y, x = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
            canvas[y : y + height, x : x + width] = pixels[i]
        canvas = canvas.repeat(scale, 0).repeat(scale, 1)
        return canvas[..., 0] if channels == 1 else canvas

    def save(self, path: Any, columns: Optional[int] = None, scale: int = 2) -> None:
        """Writes a picture: .png of images, .svg of sequences."""
        data = self._repr_svg_() if str(path).endswith(".svg") else png(self.grid(columns, scale))
        if data is None:
            raise ValueError(f"samples of the shape {list(self.shape)} are no sequences: write a .png")
        with open(path, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)

    def _repr_png_(self) -> Optional[bytes]:
        if self.value_range is None or self.size == 0:
            return None
        try:
            return png(self.grid())
        except ValueError:
            return None

    def _repr_svg_(self) -> Optional[str]:
        if self.value_range is not None or self.size == 0 or self.ndim not in (2, 3):
            return None
        return plots(np.asarray(self) if self.ndim == 3 else np.asarray(self)[..., None])

    def _repr_html_(self) -> Optional[str]:
        picture = self._repr_png_()
        if picture is None:
            return None
        return (f'<img alt="{self.shape[0]} samples" style="image-rendering: pixelated" '
                f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">')


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 pixels, [height, width] or [height, width, 3] (ISO/IEC 15948)."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")


def plots(sequences: np.ndarray, columns: int = 4, most: int = 16) -> str:
    """An SVG of sequences, [N, steps, features]: the first `most`, one plot each, a line for each feature."""
    colors = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
    width, height, gap = 180, 90, 12
    shown = sequences[:most]
    finite = shown[np.isfinite(shown)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    rows = math.ceil(len(shown) / columns)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * (width + gap) + gap}" height="{rows * (height + gap) + gap}" '
             f'font-family="sans-serif" font-size="8">']
    for i, sequence in enumerate(shown):
        x0, y0 = gap + i % columns * (width + gap), gap + i // columns * (height + gap)
        parts.append(f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" fill="none" stroke="#bbb"/>')
        parts.append(f'<text x="{x0 + 2}" y="{y0 + 9}">{high:.3g}</text><text x="{x0 + 2}" y="{y0 + height - 3}">{low:.3g}</text>')
        for feature in range(min(sequence.shape[1], len(colors))):
            points = " ".join(
                f"{x0 + width * step / max(1, len(sequence) - 1):.1f},{y0 + height * (high - value) / (high - low):.1f}"
                for step, value in enumerate(sequence[:, feature]) if np.isfinite(value))
            parts.append(f'<polyline fill="none" stroke="{colors[feature]}" points="{points}"/>')
    return "".join(parts) + "</svg>"
