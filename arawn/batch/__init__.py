"""Many questions at a time: for programs ``run`` and ``prompt``; for the command, questions from a file, resumable."""

from arawn.batch.runner import Answer as Answer
from arawn.batch.runner import Batch as Batch
from arawn.batch.runner import prompt as prompt
from arawn.batch.runner import run as run
