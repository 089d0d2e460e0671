"""``jaxgraphs completion``: what a shell needs to complete the words of a command, made by shtab from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import shtab

from jaxgraphs.cli.arguments import parser


def run(options: argparse.Namespace) -> None:
    """Prints the script for the shell.

    Reference: https://docs.iterative.ai/shtab
    """
    top = parser()
    for action in actions(top):
        words = getattr(action, "words", None)
        if words is not None:
            action.choices = words
        elif getattr(action, "is_path", False):
            action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
    print(shtab.complete(top, shell=options.shell))


def actions(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in of._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from actions(each)
