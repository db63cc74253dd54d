"""The supervisor: what runs on the microcontroller, and `uf2`, which makes its flash images. Loads nothing."""
