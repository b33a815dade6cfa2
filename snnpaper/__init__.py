"""Executable, audited reproduction of arXiv 2509.23762.

An image becomes spikes (`coding`), spikes become logits (`models`, `neurons`, `pixel`), logits become a
loss (`train`), the loss becomes a gradient (`attacks`, `sparsity`), and the book asks what that gradient
says about robustness (`experiment`, `ledger`, `stats`, `plots`).
"""

__version__ = "0.1.0"
