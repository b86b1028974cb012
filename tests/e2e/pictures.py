"""Draws the pictures of the test: each a PNG of its own that shows its number, so that a screenshot tells which it is.

Written by hand with zlib and struct, because a picture library would be one more thing to install.
"""

import colorsys
import hashlib
import random
import struct
import zlib

WIDTH = 360
BAND_HEIGHT = 120
# Noise does not compress: 360 x 180 x 3 bytes make a picture of about 200 kB, like a small real one.
NOISE_HEIGHT = 180
DOT = 20

DIGITS = {
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("###", "..#", "###", "#..", "###"),
    "3": ("###", "..#", "###", "..#", "###"),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "###", "..#", "###"),
    "6": ("###", "#..", "###", "#.#", "###"),
    "7": ("###", "..#", "..#", "..#", "..#"),
    "8": ("###", "#.#", "###", "#.#", "###"),
    "9": ("###", "#.#", "###", "..#", "###"),
}


def sha256(data: bytes) -> str:
    """Names a picture by its bytes, which is how the test knows it again."""
    return hashlib.sha256(data).hexdigest()


def png(number: int) -> bytes:
    """Draws the picture with this number: a coloured band with the number on it, and noise below."""
    rows = [b"\0" + row for row in (*_band(number), *_noise(number))]
    header = struct.pack(">IIBBBBB", WIDTH, len(rows), 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(rows), level=1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _band(number: int) -> list[bytes]:
    """Returns the rows of the band. Neighbouring numbers get colours far apart (steps of the golden angle)."""
    colour = bytes(round(255 * part) for part in colorsys.hsv_to_rgb(number * 0.381966 % 1, 0.8, 0.9))
    rows = [bytearray(colour * WIDTH) for _ in range(BAND_HEIGHT)]
    for place, digit in enumerate(str(number)):
        for line, dots in enumerate(DIGITS[digit]):
            for column, dot in enumerate(dots):
                if dot == "#":
                    _fill(rows, left=DOT * (1 + 4 * place + column), top=10 + DOT * line)
    return [bytes(row) for row in rows]


def _fill(rows: list[bytearray], left: int, top: int) -> None:
    """Paints one dot of a digit white."""
    for row in rows[top : top + DOT]:
        row[3 * left : 3 * (left + DOT)] = b"\xff" * (3 * DOT)


def _noise(number: int) -> list[bytes]:
    """Returns rows of noise that are the same each time for the same number."""
    source = random.Random(number)
    return [source.randbytes(3 * WIDTH) for _ in range(NOISE_HEIGHT)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
