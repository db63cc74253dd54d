"""CBOR (RFC 8949) as far as SenML needs it, under the name that micropython-lib's `senml` imports.

Rules of this file: integers, floats, text, octets, booleans, lists, dicts and None; of definite length, in the shortest
form of a head. Reading is bounded in depth, and any octets end in a value or `ValueError`.
"""

import struct

MOST_DEPTH = 8


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major << 5 | value,))
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            return bytes((major << 5 | code,)) + value.to_bytes(size, "big")
    raise ValueError("too large")


def dumps(value) -> bytes:  # type: ignore[no-untyped-def]
    """The octets of a value.

    Raises:
        ValueError: a kind or a size of value that is not written here.
    """
    if value is None or value is True or value is False:
        return b"\xf6" if value is None else (b"\xf5" if value else b"\xf4")
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        # The board's floats are of 32 bits; what fits into them is written so.
        try:
            single = struct.pack(">f", value)
            if struct.unpack(">f", single)[0] == value:
                return b"\xfa" + single
        except OverflowError:
            pass
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, (bytes, bytearray)):
        return _head(2, len(value)) + bytes(value)
    if isinstance(value, str):
        octets = value.encode()
        return _head(3, len(octets)) + octets
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join([dumps(one) for one in value])
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join([dumps(key) + dumps(one) for key, one in value.items()])
    raise ValueError("kind")


def loads(data: bytes):  # type: ignore[no-untyped-def]
    """The one value that the octets are.

    Raises:
        ValueError: they are none, or of a kind that is not read here.
    """
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise ValueError("more than one value")
    return value


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("cut off")
    return bytes(data[at : at + size])


def _read(data: bytes, at: int, depth: int):  # type: ignore[no-untyped-def]
    if depth > MOST_DEPTH:
        raise ValueError("too deep")
    initial = _take(data, at, 1)[0]
    major, code = initial >> 5, initial & 31
    at += 1
    if code >= 28:
        raise ValueError("length")
    size = 1 << (code - 24) if code >= 24 else 0
    argument = _take(data, at, size)
    at += size
    value = int.from_bytes(argument, "big") if size else code
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        octets = _take(data, at, value)
        if major == 2:
            return octets, at + value
        try:
            return octets.decode(), at + value
        except UnicodeError:
            raise ValueError("text") from None
    if major == 4:
        out = []
        for _ in range(value):
            one, at = _read(data, at, depth + 1)
            out.append(one)
        return out, at
    if major == 5:
        pairs = {}
        for _ in range(value):
            key, at = _read(data, at, depth + 1)
            if not isinstance(key, (int, str)):
                raise ValueError("key")
            pairs[key], at = _read(data, at, depth + 1)
        return pairs, at
    if major == 7:
        return _simple(code, argument), at
    raise ValueError("tag")


def _simple(code: int, argument: bytes):  # type: ignore[no-untyped-def]
    if code in (20, 21, 22):
        return (False, True, None)[code - 20]
    if code == 26:
        return struct.unpack(">f", argument)[0]
    if code == 27:
        return struct.unpack(">d", argument)[0]
    raise ValueError("simple")
