"""Writes the small files of tests/data/{png,jpeg,arrays,hostile}: pictures and arrays in the forms that tools write, and
files that promise more than they hold. Needs NumPy and Pillow."""
import gzip
import io
import os
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))


def path(*names):
    os.makedirs(os.path.join(here, names[0]), exist_ok=True)
    return os.path.join(here, *names)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, depth, color, rows, extra=b"", width=4):
    header = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    with open(path("png", name + ".png"), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


values = [0, 64, 128, 255]
wide = b"".join(struct.pack(">H", 257 * v) for v in values)
png("gray8", 8, 0, [bytes(values)])
png("gray8_gamma1", 8, 0, [bytes(values)], chunk(b"gAMA", struct.pack(">I", 100000)))
png("gray8_gamma_srgb", 8, 0, [bytes(values)], chunk(b"sRGB", b"\0") + chunk(b"gAMA", struct.pack(">I", 45455)))
png("gray16", 16, 0, [wide])
png("gray16_gamma1", 16, 0, [wide], chunk(b"gAMA", struct.pack(">I", 100000)))
png("rgb8", 8, 2, [bytes(v for v in values for _ in range(3))])
png("rgb16", 16, 2, [b"".join(struct.pack(">H", 257 * v) * 3 for v in values)])
png("palette", 8, 3, [bytes([0, 1, 2, 3])], chunk(b"PLTE", bytes(v for v in values for _ in range(3))))
png("rgba8", 8, 6, [bytes(x for v in values for x in (v, v, v, 255))])
png("primaries", 8, 6, [bytes([255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 255, 255, 255, 128])])

upright = np.zeros((16, 32), np.uint8)
upright[:8, :16], upright[:8, 16:], upright[8:, :16], upright[8:, 16:] = 240, 160, 80, 10
# How each orientation stores what is to be seen: the inverse of what a viewer does.
stored = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.T,
          6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}
for orientation, turn in stored.items():
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(turn(upright))).save(path("jpeg", f"orientation_{orientation}.jpg"), quality=95, exif=exif)
Image.new("CMYK", (16, 8), (10, 20, 30, 40)).save(path("jpeg", "cmyk.jpg"))

np.savez(path("arrays", "one.npz"), np.array([1, 2, 3], np.float32))
np.savez_compressed(path("arrays", "two.npz"), a=np.arange(4, dtype=np.int64).reshape(2, 2), b=np.array([4, 5], np.uint8))

picture = io.BytesIO()
Image.new("L", (16, 16)).save(picture, "JPEG", progressive=True)
data = bytearray(picture.getvalue())
frame = data.index(b"\xff\xc2")
data[frame + 5:frame + 9] = struct.pack(">HH", 65500, 65500)
with open(path("hostile", "large.jpg"), "wb") as file:
    file.write(data)
header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
with open(path("hostile", "large.png"), "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
with open(path("hostile", "large.idx.gz"), "wb") as file:
    file.write(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 1 << 30) + b"\0" * 1000, mtime=0))
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
    entries.writestr("a.npy", b"\0" * 1000)
data = bytearray(archive.getvalue())
entry = data.index(b"PK\x01\x02")
data[entry + 24:entry + 28] = struct.pack("<I", 1 << 31)
with open(path("hostile", "large.npz"), "wb") as file:
    file.write(data)
