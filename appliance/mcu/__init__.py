"""The supervisor: the microcontroller that hears our beats and takes the box's power away when they stop."""
