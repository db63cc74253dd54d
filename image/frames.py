"""Frames for a machine's capture card: from a capture file (libpcap's classic format) onto the virtual cable.

Rules of this file: reading is pure; a file that is not Ethernet in that format is refused. One datagram to QEMU is one
frame.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from image.errors import InputError

ETHERNET = 1
LARGEST_FRAME = 65_535
_MAGIC = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}


def frames(data: bytes) -> Iterator[bytes]:
    """The frames of a capture file, in order.

    Raises:
        InputError: another format, another link type, or a record that is cut off.
    """
    order = _MAGIC.get(data[:4])
    if order is None or len(data) < 24:
        raise InputError(f"a file that begins with {data[:4].hex() or 'nothing'} came, libpcap's format was allowed")
    link_type = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    if link_type != ETHERNET:
        raise InputError(f"link type {link_type} came, {ETHERNET} (Ethernet) was allowed")
    position = 24
    while position < len(data):
        if len(data) - position < 16:
            raise InputError(f"a record header is cut off at byte {position}")
        length = struct.unpack_from(order + "I", data, position + 8)[0]
        position += 16
        if length > min(LARGEST_FRAME, len(data) - position):
            raise InputError(f"a frame of {length} bytes came at byte {position}, {len(data) - position} are left")
        yield data[position : position + length]
        position += length


class Cable:
    """The far end of a machine's capture card."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._machine_port = int(probe.getsockname()[1])

    def arguments(self) -> tuple[str, ...]:
        """QEMU's arguments for the card at the near end."""
        port = self._socket.getsockname()[1]
        near = f"local.type=inet,local.host=127.0.0.1,local.port={self._machine_port}"
        far = f"remote.type=inet,remote.host=127.0.0.1,remote.port={port}"
        return (
            *("-netdev", f"dgram,id=capture,{near},{far}"),
            *("-device", "virtio-net-pci,netdev=capture,mac=52:54:00:00:00:02,romfile="),
        )

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._socket.sendto(frame, ("127.0.0.1", self._machine_port))

    def close(self) -> None:
        """Pull the cable."""
        self._socket.close()


def management_arguments() -> tuple[str, ...]:
    """QEMU's arguments for the management card: DHCP, and this host's loopback at 10.0.2.2."""
    return (
        *("-netdev", "user,id=management"),
        *("-device", "virtio-net-pci,netdev=management,mac=52:54:00:00:00:01,romfile="),
    )
