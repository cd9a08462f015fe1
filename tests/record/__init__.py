"""Recording: what is read of GPUs, and the files it is written to."""
