"""Chapter 8: events. From the records "events" and "sparsity" of networks on recordings."""
