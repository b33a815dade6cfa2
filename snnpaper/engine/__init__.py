"""What makes it fast: fused loops on a CPU, one graph a step on CUDA, the same spikes; and what was measured."""
