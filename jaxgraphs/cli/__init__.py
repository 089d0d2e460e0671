"""The command line: one screen of help, one function a command. JAX is imported by the commands that compute."""

from jaxgraphs.cli.main import main

__all__ = ["main"]
