"""From an image to logits: data, codes, neurons, networks, and the compiled loops under them."""
