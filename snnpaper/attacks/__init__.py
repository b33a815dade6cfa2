"""The attacks' algorithms: threat models, gradient attacks, black boxes, and their worst case."""
