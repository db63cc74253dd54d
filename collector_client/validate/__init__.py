"""What is judged after decoding: whose event, which number, when. Front door: `judge`, `Window`."""

from collector_client.validate.policy import Judged, Window, judge

__all__ = ["Judged", "Window", "judge"]
