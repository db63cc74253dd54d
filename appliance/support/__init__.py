"""What support needs to know of a box, in one bounded file without secrets. Front door: `bundle_of`, `write_bundle`."""

from appliance.support.bundle import Made, write_bundle
from appliance.support.order import KEY_BYTES, bundle_of

__all__ = ["KEY_BYTES", "Made", "bundle_of", "write_bundle"]
