"""jaxgraphs."""
