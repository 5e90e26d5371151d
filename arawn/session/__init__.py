"""A conversation: its turns, its compaction, its place in the store."""
