"""What is allowed: limits, the file and the markers they stand in, and the verdict on a test's readings."""
