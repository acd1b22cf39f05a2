"""Ogg pages: a stream's serial number, which encoders draw at random, set to a known one."""

import struct
from collections.abc import Iterator

from songtitle.errors import InputError

_HEAD = 27  # bytes of a page before its segment table (RFC 3533, section 6)


def with_serial(stream: bytes, serial: int) -> bytes:
    """The same stream under another serial number, its checksums made anew.

    Raises InputError for bytes that are no whole Ogg stream.
    """
    pages = []
    for page in pages_of(stream):
        plain = page[:14] + struct.pack("<I", serial) + page[18:22] + bytes(4) + page[26:]
        pages.append(plain[:22] + struct.pack("<I", checksum(plain)) + plain[26:])
    return b"".join(pages)


def pages_of(stream: bytes) -> Iterator[bytes]:
    """The pages of an Ogg stream, in order."""
    place = 0
    while place < len(stream):
        segments = stream[place + _HEAD - 1] if place + _HEAD <= len(stream) else 0
        body = stream[place + _HEAD : place + _HEAD + segments]
        end = place + _HEAD + segments + sum(body)
        if stream[place : place + 4] != b"OggS" or end > len(stream):
            msg = f"ogg: expected a page at byte {place} of {len(stream)}, got none; encode again"
            raise InputError(msg)
        yield stream[place:end]
        place = end


def checksum(page: bytes) -> int:
    """The checksum of a page whose own is 0 (RFC 3533: polynomial 0x04c11db7, begun at 0)."""
    value = 0
    for byte in page:
        value = (value << 8) & 0xFFFFFFFF ^ _TABLE[value >> 24 ^ byte]
    return value


def _entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


_TABLE = [_entry(byte) for byte in range(256)]
