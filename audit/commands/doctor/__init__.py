"""`sync-audit doctor`: what a run would meet."""
