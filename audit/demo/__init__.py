"""An audit that needs nothing else: an embedded PostgreSQL and a stand-in for Replicate, both real."""
