"""The supervisor: it brings a dead host back and never makes things worse. Importing it loads nothing else."""
