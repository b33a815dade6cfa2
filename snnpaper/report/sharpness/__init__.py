"""Chapter 7, from the records "sharpness"."""
