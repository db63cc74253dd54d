"""One file a check, each with one function `check`; the table that orders them is `doctor.examination`."""
