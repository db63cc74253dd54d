"""What crosses the edge of the box: formats and sessions shared with the collector.

Imports the stdlib, lxml and itself only.
"""
