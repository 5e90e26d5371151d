"""What is kept between runs: one SQLite file, and the verbs that read and write it."""
