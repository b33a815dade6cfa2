"""Chapter 2 as functions: ratio (4.1), layers and chain (4.2, 4.3), bounds (4.4), algebra, examples."""

from . import algebra, bounds, chain, examples, layers, ratio

__all__ = ["algebra", "bounds", "chain", "examples", "layers", "ratio"]
