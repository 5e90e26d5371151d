"""Many questions from a file, answered within limits and resumable."""
