"""Vedette's native detection engine: the front door of the extension module; its types are in `__init__.pyi`."""

from vedette_engine._native import Capture, Detection, EngineError, Refusal, Rule, RuleSet, __version__

__all__ = ["Capture", "Detection", "EngineError", "Refusal", "Rule", "RuleSet", "__version__"]
