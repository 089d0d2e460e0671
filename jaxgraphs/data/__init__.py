"""Readers of the data sets that the examples use."""

from jaxgraphs.data import babi, digits, mnist, pairs, stories, titles
from jaxgraphs.data.columns import Column
from jaxgraphs.data.questions import Example, QuestionEncoder, Questions, Stories
from jaxgraphs.data.reading import Fault
from jaxgraphs.data.share import shard
from jaxgraphs.data.split import Dataset, Split
from jaxgraphs.data.table import Table, TableEncoder, table
from jaxgraphs.data.text import Vocabulary, pad, tokenize

__all__ = [
    "Column",
    "Dataset",
    "Example",
    "Fault",
    "QuestionEncoder",
    "Questions",
    "Split",
    "Stories",
    "Table",
    "TableEncoder",
    "Vocabulary",
    "babi",
    "digits",
    "mnist",
    "pad",
    "pairs",
    "shard",
    "stories",
    "table",
    "titles",
    "tokenize",
]
