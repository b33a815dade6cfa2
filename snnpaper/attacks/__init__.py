"""Attacks on spiking networks: threat spaces and protocols here, the algorithms from torchattacks."""
