"""What a code means and what to do, filled in for one user or for the population."""
