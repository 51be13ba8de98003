"""For people: what a run measured, as the pytest summary, as the text of a failure, and as JUnit properties."""
