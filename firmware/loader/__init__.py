"""What is in flash and stays: files, records, and the choice of the firmware that runs. Importing it loads nothing else."""
