"""What the supervisor measures, as a SenML pack in CBOR (RFC 8428), by micropython-lib's `senml`.

Rules of this file: `senml` may not be frozen in; then there are no measurements and the rest works. Names are those of
the pack, units those of the registry (RFC 8428, section 12.1).
"""

try:
    import senml
except ImportError:
    senml = None


def pack(serial: str, supply_mv: "int | None", temperature_dc: "int | None", uptime_ms: int, boots: int) -> bytes:
    """The pack; empty where `senml` is not."""
    if senml is None:
        return b""
    measurements = senml.SenmlPack("vedette:supervisor:" + serial + ":")
    if supply_mv is not None:
        measurements.add(senml.SenmlRecord("supply", unit="V", value=supply_mv / 1000))
    if temperature_dc is not None:
        measurements.add(senml.SenmlRecord("temperature", unit="Cel", value=temperature_dc / 10))
    measurements.add(senml.SenmlRecord("uptime", unit="s", value=uptime_ms // 1000))
    measurements.add(senml.SenmlRecord("boots", unit="count", value=boots))
    return bytes(measurements.to_cbor())
