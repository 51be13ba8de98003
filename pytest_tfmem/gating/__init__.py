"""The gate as a whole: the head is run, held against history, and what is suspect decided against the base."""
