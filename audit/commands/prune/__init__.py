"""`sync-audit prune`: old runs of a folder, listed or removed."""
