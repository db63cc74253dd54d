"""`vedette-flash`: the image onto a stick, from a field engineer's own computer."""
