"""The few parts of the protobuf encoding that remote write needs.

Source: Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations


def varint(value: int) -> bytes:
    """A number of 0 or more."""
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def zigzag(value: int) -> bytes:
    """A number with a sign, as sint32 and sint64."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def field(number: int, content: bytes) -> bytes:
    """A field with a length (wire type 2), numbered below 16."""
    return bytes((number << 3 | 2,)) + varint(len(content)) + content


def text(number: int, value: str) -> bytes:
    """A field of text; nothing for an empty one."""
    return field(number, value.encode("utf-8", "replace")) if value else b""
