"""What was used: the kernel's counters, and the sampler beside them."""
