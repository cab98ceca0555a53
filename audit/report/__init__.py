"""Reports: one frozen view of a run, one module per format, one writer that replaces files whole."""
