"""One fresh process: how it starts, what it says, how it ends."""
