# SPDX-License-Identifier: Apache-2.0
"""Read PNG files of 8-bit RGB without interlacing, strictly: for tests that compare pixels."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunks(data):
    if data[:8] != SIGNATURE:
        raise ValueError("no PNG file")
    at = 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        (crc,) = struct.unpack_from(">I", data, at + 8 + size)
        if crc != zlib.crc32(kind + body):
            raise ValueError(f"chunk {kind} is damaged")
        yield kind, body
        at += 12 + size


def _paeth(left, up, corner):
    guess = left + up - corner
    distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[distances.index(min(distances))]


def _row(kind, line, above):
    """A row of bytes without its filter; @above is the one before it."""
    if kind == 0:
        return line
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(line, above))
    for i, value in enumerate(line):
        left, corner = (line[i - 3], above[i - 3]) if i >= 3 else (0, 0)
        if kind == 1:
            line[i] = (value + left) & 255
        elif kind == 3:
            line[i] = (value + (left + above[i]) // 2) & 255
        elif kind == 4:
            line[i] = (value + _paeth(left, above[i], corner)) & 255
        else:
            raise ValueError(f"filter {kind}")
    return line


def decode(data):
    """Width, height, and rows of RGB bytes from the top left."""
    chunks = list(_chunks(data))
    if [kind for kind, _ in chunks] != [b"IHDR", b"IDAT", b"IEND"]:
        raise ValueError("not the chunks that RayOS writes")
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    if form != [8, 2, 0, 0, 0]:
        raise ValueError(f"not 8-bit RGB: {form}")
    raw = zlib.decompress(chunks[1][1])
    stride = 3 * width
    if len(raw) != (stride + 1) * height:
        raise ValueError("too many pixels or too few")
    rows, above = [], bytearray(stride)
    for at in range(0, len(raw), stride + 1):
        above = _row(raw[at], bytearray(raw[at + 1:at + 1 + stride]), above)
        rows.append(bytes(above))
    return width, height, b"".join(rows)
