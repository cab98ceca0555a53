"""`sync-audit run`: the audit."""
