"""Chapters 5 and 10: the paper's numbers and claims beside ours, and the rules that judge them."""
