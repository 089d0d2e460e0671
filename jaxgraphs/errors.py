"""What a user reads when something does not fit: one error, built from fields, saying how to mend it."""

from __future__ import annotations

from collections.abc import Sequence


class GraphError(Exception):
    """A failure that a user can cause, and mend.

    Args:
        what: one sentence on what happened.
        where: the place in the graph, such as ``"text, image -> join"``.
        received, expected: what was found there, and what would have fitted.
        fix: how to mend it, as something to type where that is possible.

    >>> print(GraphError("Dense 'age' cannot read its input.", expected="a float tensor", fix="cast it first"))
    Dense 'age' cannot read its input.
      expected: a float tensor
      fix:      cast it first
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        received: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.received, self.expected, self.fix = what, where, received, expected, fix
        super().__init__(what)

    def __str__(self) -> str:
        fields = (("where", self.where), ("received", self.received), ("expected", self.expected), ("fix", self.fix))
        return "\n".join([self.what, *(_field(name, text) for name, text in fields if text)])

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.received, self.expected, self.fix)


class GraphValueError(GraphError, ValueError):
    """A value that does not fit: a negative width, a cycle, an unknown name of a loss."""


class GraphTypeError(GraphError, TypeError):
    """A thing of the wrong kind: a symbolic tensor where an array is needed, or the reverse."""


class GraphKeyError(GraphError, KeyError):
    """A name that is not there: a layer, an input, an output."""

    # KeyError would print the repr of its argument.
    __str__ = GraphError.__str__


class GraphAttributeError(GraphError, AttributeError):
    """An attribute that is not there, and what stands for it."""


class ShapeMismatchError(GraphValueError):
    """Shapes that do not go together."""


class DTypeMismatchError(GraphTypeError):
    """Dtypes that do not go together."""


def combine(what: str, errors: Sequence[str], *, where: str | None = None, fix: str | None = None) -> GraphValueError:
    """One error for many mismatches, so that the user mends them all at once.

    >>> print(combine("2 inputs do not fit.", ["text: missing", "image: (4,) is not (batch, 8)"]))
    2 inputs do not fit.
      received: text: missing
                image: (4,) is not (batch, 8)
    """
    return GraphValueError(what, where=where, received="\n".join(errors), fix=fix)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The names known, the nearest first: the end of most messages about an unknown name.

    >>> did_you_mean("adm", ["sgd", "adam"])
    "'adam'? Known: adam, sgd"
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = ", ".join(sorted(known))
    return f"'{near[0]}'? Known: {listed}" if near else f"one of: {listed}"


def _field(name: str, text: str) -> str:
    """One aligned field; further lines of `text` are indented under its first."""
    return f"  {name + ':':<10}" + text.replace("\n", "\n" + " " * 12)


def _rebuild(kind, what, where, received, expected, fix):
    return kind(what, where=where, received=received, expected=expected, fix=fix)
