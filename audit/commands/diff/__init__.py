"""`sync-audit diff`: two runs compared."""
