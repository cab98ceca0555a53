"""`sync-audit init`: what a product's tables mean to the audit, found out by looking."""
