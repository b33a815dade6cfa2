"""What makes it fast and changes no number: fused loops on a CPU, one graph a step on CUDA; and what was measured."""
