"""The release that is frozen into a flash image; an upgrade brings its own."""

NUMBERS = (0, 1, 0)
