"""What a machine with a GPU is asked once: whether every kernel is right there, and how fast."""
