"""Three predictions from one text: the chapter's graph with several outputs."""

from __future__ import annotations

from jaxgraphs.graph.graph import Graph
from jaxgraphs.layers import Conv1D, Dense, Embedding, GlobalMaxPooling1D, MaxPooling1D
from jaxgraphs.symbolic.node import Input


def social_posts(vocabulary: int = 50_000, income_groups: int = 10, embedding: int = 256, filters: int = 128) -> Graph:
    """A person's posts, and from them age, income group and gender.

    Args:
        vocabulary: how many words; `embedding`: the size of a word's vector.
        filters: of the first convolution; the others have twice as many.
        income_groups: how many income groups there are.
    Shapes: posts (batch, words) -> age (batch, 1); income (batch, income_groups) and gender (batch, 1), probabilities.
    Reference: Chollet (2017), Deep Learning with Python, section 7.1.3.

    >>> social_posts().output_names
    ('age', 'income', 'gender')
    """
    posts = Input((None,), dtype="int32", name="posts")
    x = Embedding(vocabulary, embedding)(posts)
    x = Conv1D(filters, 5, activation="relu")(x)
    x = MaxPooling1D(5)(x)
    x = Conv1D(2 * filters, 5, activation="relu")(x)
    x = Conv1D(2 * filters, 5, activation="relu")(x)
    x = MaxPooling1D(5)(x)
    x = Conv1D(2 * filters, 5, activation="relu")(x)
    x = Conv1D(2 * filters, 5, activation="relu")(x)
    x = GlobalMaxPooling1D()(x)
    x = Dense(128, activation="relu")(x)
    age = Dense(1, name="age")(x)
    income = Dense(income_groups, activation="softmax", name="income")(x)
    gender = Dense(1, activation="sigmoid", name="gender")(x)
    return Graph(posts, [age, income, gender], name="social_posts")
