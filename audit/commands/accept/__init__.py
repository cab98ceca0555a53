"""`sync-audit accept`: findings that need not be acted on until a day."""
