"""`sync-audit sync`: the repair."""
