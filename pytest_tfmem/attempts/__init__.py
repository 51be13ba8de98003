"""pytest run again and again, each time from nothing: of one revision, or of two in turn."""
