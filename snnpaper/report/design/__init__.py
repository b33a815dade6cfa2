"""Chapter 9: is sparsity the cause? From the records "backwards"."""
