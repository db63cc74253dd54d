"""`make firmware`: the supervisor's flash images, from Debian's source packages, the same octets each time."""
