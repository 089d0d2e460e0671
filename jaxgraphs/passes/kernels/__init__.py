"""Arithmetic in the place of XLA's own where that is slow: pure functions of arrays that give the same numbers."""
