"""Films without loss, as animated PNG (the PNG specification, third edition, 11.3.2)."""
import struct
import zlib


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def film(pictures, times):
    """The bytes of an animated PNG of pictures uint8 [T, H, W, 3] at `times` in seconds, evenly spaced in hundredths; one is a still."""
    count, height, width = pictures.shape[:3]
    step = round(100 * (times[1] - times[0])) if count > 1 else 0
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    if count == 1:
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed(pictures[0])) + chunk(b"IEND", b"")
    parts, number = [head, chunk(b"acTL", struct.pack(">II", count, 0))], 0
    for i, picture in enumerate(pictures):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, step, 100, 0, 0)))
        parts.append(chunk(b"IDAT", packed(picture)) if i == 0 else chunk(b"fdAT", struct.pack(">I", number + 1) + packed(picture)))
        number += 1 if i == 0 else 2
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def packed(picture):
    """The rows of a picture as PNG has them, none filtered."""
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture), 1)
