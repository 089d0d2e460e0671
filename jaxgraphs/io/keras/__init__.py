"""Keras' models read as graphs and variables. Files are data: nothing in them is run, imported or looked up."""
