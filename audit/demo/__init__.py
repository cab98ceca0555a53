"""An audit that needs nothing else: an embedded PostgreSQL and a fake Replicate, both real."""
