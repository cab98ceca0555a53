"""A server that answers as Replicate does, and errs as it does."""
