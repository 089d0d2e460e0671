"""The chapter's graphs, each in its own file."""

from jaxgraphs.models.question_answering import question_answering

__all__ = ["question_answering"]
