"""What stays in flash: files, records, and the choice of the firmware that runs. Importing it loads nothing else."""
