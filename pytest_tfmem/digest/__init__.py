"""A run summed up for readers away from the terminal: its verdict in a sentence, what is not fine, every test."""
