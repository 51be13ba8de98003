"""What is kept of a run: its document, where its code came from, and the environment its readings depend on."""
