"""What a strategy may ask of any fitted classifier: probabilities, embeddings, a differentiable view.

Every function works through the pool in blocks, so that nothing copies a whole pool, and opens pipelines,
`FrozenEstimator`, searches and learners itself. The questions are in a table, `QUESTIONS`.
"""

from ..pool import blockwise, row_blocks
from .answers import (
    ask,
    critic_scores,
    critic_scores_and_log_proba,
    decision_function,
    dropout_proba,
    embed,
    embed_and_predict_proba,
    has_embedding,
    labeled_proba,
    predict_proba,
    predicted_loss,
)
from .differentiable import RowFunction, as_torch, check_differentiable, torch_module
from .last_layer import linear_head
from .members import committee_proba
from .networks import batch_rows
from .posterior import posterior_proba
from .questions import QUESTIONS, Question, check_requirements, provides
from .wrappers import unwrap, working_bytes

__all__ = [
    "QUESTIONS",
    "Question",
    "RowFunction",
    "as_torch",
    "ask",
    "batch_rows",
    "blockwise",
    "check_differentiable",
    "check_requirements",
    "committee_proba",
    "critic_scores",
    "critic_scores_and_log_proba",
    "decision_function",
    "dropout_proba",
    "embed",
    "embed_and_predict_proba",
    "has_embedding",
    "labeled_proba",
    "linear_head",
    "posterior_proba",
    "predict_proba",
    "predicted_loss",
    "provides",
    "row_blocks",
    "torch_module",
    "unwrap",
    "working_bytes",
]
