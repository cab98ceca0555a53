"""`sync-audit merge`: shards become one run."""
