"""What `jaxgraphs train` can train, by name."""

from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.images import INCEPTION, RESIDUAL, SEPARABLE
from jaxgraphs.jobs.question_answering import QUESTION_ANSWERING
from jaxgraphs.jobs.siamese import SIAMESE
from jaxgraphs.jobs.social_posts import SOCIAL_POSTS
from jaxgraphs.jobs.table import TABLE

JOBS = {job.name: job for job in (QUESTION_ANSWERING, SOCIAL_POSTS, INCEPTION, RESIDUAL, SIAMESE, SEPARABLE, TABLE)}
"""The jobs by name; the first is the main one."""

__all__ = ["JOBS", "Job", "Options", "Outcome"]
