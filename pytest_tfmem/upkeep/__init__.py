"""budgets.yaml kept up to date: which limits are to change by what tests have needed, and which entries are to go."""
