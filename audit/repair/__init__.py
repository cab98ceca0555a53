"""Which rows a repair changes, how, and who is left out: for `sync` and for what reports tell people to do."""
