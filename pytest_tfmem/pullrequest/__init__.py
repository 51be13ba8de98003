"""A digest where a change is reviewed: a summary or comment in Markdown, and annotations at the lines concerned."""
