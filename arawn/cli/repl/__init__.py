"""The prompt that keeps a conversation: its keys, its commands, its loop."""
