"""Attention of one head and of many, with arguments, causal masks and masks given by hand."""

import keras
import numpy as np

from jaxgraphs.layers import attention, multi_head
from tests.layers.case import Case

theirs = keras.layers
QUERY_VALUE = [(2, 3, 4), (2, 5, 4)]
QUERY_VALUE_KEY = [(2, 3, 4), (2, 5, 6), (2, 5, 4)]
PROJECTIONS = [f"params/{name}/{array}" for name in ("query", "key", "value", "output") for array in ("kernel", "bias")]
GATED = [*PROJECTIONS[:4], "params/gate/kernel", "params/gate/bias", *PROJECTIONS[4:]]
RANDOM = np.random.default_rng(3)
PAIRS = RANDOM.random((2, 3, 5)) > 0.4
PAIRS[:, :, 0] = True


def single(name, kind, shapes, weights=(), call=None, **options):
    """Attention or AdditiveAttention with options."""
    make_ours, make_theirs = getattr(attention, kind), getattr(theirs, kind)
    return Case(name, lambda: make_ours(**options), lambda: make_theirs(**options), shapes, weights, call=call or {})


def many(name, kind, shapes, weights=PROJECTIONS, call=None, **options):
    """MultiHeadAttention or GroupQueryAttention with options."""
    make_ours, make_theirs = getattr(multi_head, kind), getattr(theirs, kind)
    return Case(
        name,
        lambda: make_ours(**options),
        lambda: make_theirs(**options),
        shapes,
        weights,
        call=call or {},
        spread=True,
        # The same number added to all scores of a query changes nothing.
        null=["params/key/bias"],
    )


HEADS = {"num_heads": 2, "key_dim": 3}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}

CASES = [
    single("attention", "Attention", QUERY_VALUE),
    single("attention_key", "Attention", QUERY_VALUE_KEY, ["params/scale"], use_scale=True),
    single("attention_causal", "Attention", QUERY_VALUE, call={"use_causal_mask": True}),
    single("attention_scores", "Attention", QUERY_VALUE, call={"return_attention_scores": True}),
    single("attention_concat", "Attention", QUERY_VALUE, ["params/concat_score_weight"], score_mode="concat"),
    single(
        "attention_concat_scale",
        "Attention",
        QUERY_VALUE,
        ["params/scale", "params/concat_score_weight"],
        score_mode="concat",
        use_scale=True,
    ),
    single("additive", "AdditiveAttention", QUERY_VALUE_KEY, ["params/scale"]),
    single("additive_bare", "AdditiveAttention", QUERY_VALUE, use_scale=False, call={"use_causal_mask": True}),
    many("multi_head", "MultiHeadAttention", QUERY_VALUE, **HEADS),
    # Without dropout Keras on JAX fails where values are wider than keys.
    many("multi_head_key", "MultiHeadAttention", QUERY_VALUE_KEY, **HEADS, value_dim=5, dropout=0.3),
    many("multi_head_bare", "MultiHeadAttention", QUERY_VALUE, PROJECTIONS[::2], **HEADS, use_bias=False),
    many("multi_head_output", "MultiHeadAttention", QUERY_VALUE, **HEADS, output_shape=(2, 7)),
    many("multi_head_causal", "MultiHeadAttention", QUERY_VALUE, call={"use_causal_mask": True}, **HEADS),
    many("multi_head_mask", "MultiHeadAttention", QUERY_VALUE, call={"attention_mask": PAIRS}, **HEADS),
    many(
        "multi_head_scores",
        "MultiHeadAttention",
        QUERY_VALUE,
        call={"attention_mask": PAIRS, "return_attention_scores": True, "use_causal_mask": True},
        **HEADS,
    ),
    many("multi_head_dropout", "MultiHeadAttention", QUERY_VALUE, **HEADS, dropout=0.3),
    many("multi_head_window", "MultiHeadAttention", QUERY_VALUE, **HEADS, sliding_window=2),
    many("multi_head_gate", "MultiHeadAttention", QUERY_VALUE, GATED, **HEADS, use_gate=True),
    many("multi_head_image", "MultiHeadAttention", [(2, 3, 2, 4), (2, 3, 2, 4)], **HEADS),
    many("multi_head_rows", "MultiHeadAttention", [(2, 3, 2, 4), (2, 3, 5, 4)], **HEADS, attention_axes=2),
    many("group_query", "GroupQueryAttention", QUERY_VALUE, **GROUPS),
    many("group_query_causal", "GroupQueryAttention", QUERY_VALUE_KEY, call={"use_causal_mask": True}, **GROUPS),
    many("group_query_gate", "GroupQueryAttention", QUERY_VALUE, GATED, **GROUPS, use_gate=True),
]
