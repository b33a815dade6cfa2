"""Evidence, checks and verdict on a robust accuracy; and the audit of anybody's network."""

from .report import Report, diff
from .run import audit

__all__ = ["Report", "audit", "diff"]
