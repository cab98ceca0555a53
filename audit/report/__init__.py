"""Reports: one frozen view of a run (`view`), one module per format, one writer that replaces files atomically.

    RunReader (the run file fits it) -> RunView -> a module for each of `formats` -> writer

A format is a function that writes the view to a binary stream, piece by piece: no format holds all users in
memory, and the same view gives the same bytes.
"""
