"""Markdown on a terminal, while it arrives."""
