"""A run on a page: one HTML file that asks the network for nothing."""
