"""A PNG picture becomes a small one, of the same proportions.

Without an imaging library: 8 bits a channel, not interlaced, which is what cameras' and designers'
tools write. Each new pixel is the mean of the old ones that it covers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from worker.failure import Unfit
from worker.kinds import Document, Product

# The longer edge, in pixels.
EDGES = {"Avatar": 96, "Banner": 640, "Brand": 64, "Cover": 320, "Press": 1024}
USUAL_EDGE = 256

# Four channels of these are 64 MB, of which a few copies fit into 512 MiB. A small file can claim
# to be much more.
MOST_PIXELS = 16_000_000

# A picture is worked on as a whole. So many pixels need no more, unless they are packed badly.
MOST_BYTES = 80_000_000

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
"""By PNG's colour type: grey, RGB, grey with alpha, RGB with alpha."""


@dataclass(frozen=True)
class Picture:
    """Rows of pixels, each pixel `channels` bytes."""

    width: int
    height: int
    channels: int
    rows: list[bytes]


def work(subject: str, document: Document) -> Product:
    with document() as opened:
        picture = opened.read(MOST_BYTES + 1)
    if len(picture) > MOST_BYTES:
        raise Unfit(f"the picture is larger than {MOST_BYTES} bytes")
    small = shrunk(decoded(picture), EDGES.get(subject, USUAL_EDGE))
    return Product("png", "image/png", iter([encoded(small)]))


def shrunk(picture: Picture, edge: int) -> Picture:
    """The picture with its longer edge at most so long; never a larger one."""
    longer = max(picture.width, picture.height)
    if longer <= edge:
        return picture
    width = max(1, picture.width * edge // longer)
    height = max(1, picture.height * edge // longer)
    columns = spans(picture.width, width)
    rows = [
        bytes(
            mean(picture, rows, columns_of, channel)
            for columns_of in columns
            for channel in range(picture.channels)
        )
        for rows in spans(picture.height, height)
    ]
    return Picture(width, height, picture.channels, rows)


def spans(old: int, new: int) -> list[range]:
    """Which old places each new one covers; each old one is covered once."""
    return [range(place * old // new, (place + 1) * old // new) for place in range(new)]


def mean(picture: Picture, rows: range, columns: range, channel: int) -> int:
    step = picture.channels
    first, end = columns.start * step + channel, columns.stop * step
    total = sum(sum(picture.rows[row][first:end:step]) for row in rows)
    return total // (len(rows) * len(columns))


def decoded(document: bytes) -> Picture:
    """`Unfit` for what is no PNG, or one of the rarer sorts."""
    parts = list(chunks(document))
    header = next((data for name, data in parts if name == b"IHDR"), b"")
    if len(header) != 13:
        raise Unfit("the picture has no header")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise Unfit("only 8-bit pictures without palette and interlacing are understood")
    if not 0 < width * height <= MOST_PIXELS:
        raise Unfit(f"the picture has no pixels, or more than {MOST_PIXELS}")
    stride = width * CHANNELS[colour] + 1
    packed = b"".join(data for name, data in parts if name == b"IDAT")
    try:
        lines = zlib.decompressobj().decompress(packed, stride * height)
    except zlib.error as error:
        raise Unfit("the picture is damaged") from error
    if len(lines) != stride * height:
        raise Unfit("the picture is cut off")
    filtered = [lines[start : start + stride] for start in range(0, len(lines), stride)]
    return Picture(width, height, CHANNELS[colour], unfiltered(filtered, CHANNELS[colour]))


def chunks(document: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not document.startswith(SIGNATURE):
        raise Unfit("the upload is no PNG picture")
    at = len(SIGNATURE)
    while at + 8 <= len(document):
        length, name = struct.unpack_from(">I4s", document, at)
        yield name, document[at + 8 : at + 8 + length]
        at += 12 + length


def unfiltered(lines: list[bytes], channels: int) -> list[bytes]:
    """Undoes PNG's prediction of each byte from those left of it and above it (PNG, section 9)."""
    above = bytes(len(lines[0]) - 1)
    rows = []
    for line in lines:
        row = bytearray(line[1:])
        for at, value in enumerate(row):
            left = row[at - channels] if at >= channels else 0
            corner = above[at - channels] if at >= channels else 0
            row[at] = (value + predicted(line[0], left, above[at], corner)) & 0xFF
        above = bytes(row)
        rows.append(above)
    return rows


def predicted(method: int, left: int, up: int, corner: int) -> int:
    match method:
        case 0:
            return 0
        case 1:
            return left
        case 2:
            return up
        case 3:
            return (left + up) // 2
        case 4:  # Paeth: the neighbour that is nearest to left + up - corner
            guess = left + up - corner
            return min((left, up, corner), key=lambda near: abs(guess - near))
    raise Unfit("a line has a filter that is none of PNG's")


def encoded(picture: Picture) -> bytes:
    colour = next(colour for colour, count in CHANNELS.items() if count == picture.channels)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, colour, 0, 0, 0)
    lines = b"".join(b"\0" + row for row in picture.rows)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(name, data) for name, data in parts)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
