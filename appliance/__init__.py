"""Vedette's Linux side: capture, detect, spool, uplink. Importing this package loads nothing else."""

__version__ = "0.1.0"
