"""A board without pins."""
