"""Evidence, checks and verdict on a robust accuracy; and the audit of anybody's network."""

from .generic import audit, text

__all__ = ["audit", "text"]
