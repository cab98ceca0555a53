"""Nouns of the program, frozen, without I/O."""
