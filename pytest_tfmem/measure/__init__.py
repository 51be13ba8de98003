"""What was used: by the kernel's counters, devices' allocators and the driver, and the sampler beside them."""
