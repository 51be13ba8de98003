"""`tfmem doctor`: what this machine can measure, how exactly, and what would give more."""
