"""A whole run to disk and back: what is saved, where, when, and by whom."""
