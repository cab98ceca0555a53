"""`sync-audit user`: one user, with everything that is known."""
