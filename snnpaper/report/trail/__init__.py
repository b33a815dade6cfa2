"""Chapter 4: where gradients become zero on their way back. Its records, their tables, their figures."""
