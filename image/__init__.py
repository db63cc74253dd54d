"""Makes the appliance's disk image and tries it in virtual machines: `python -m image`, or the make targets image-*."""
