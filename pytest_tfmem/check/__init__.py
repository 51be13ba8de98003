"""`tfmem check`: budgets.yaml and the markers, held against the tests that there are."""
