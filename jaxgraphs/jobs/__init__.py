"""What `jaxgraphs train` can train, by name."""

from jaxgraphs.jobs.base import Job, Options, Outcome
from jaxgraphs.jobs.question_answering import QUESTION_ANSWERING

JOBS = {job.name: job for job in (QUESTION_ANSWERING,)}
"""The jobs by name; the first is the main one."""

__all__ = ["JOBS", "Job", "Options", "Outcome"]
