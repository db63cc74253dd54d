"""The collector's listener for sensors. Front door: `Ingest`."""
