"""The doorways."""
