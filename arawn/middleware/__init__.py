"""Backends around backends: each adds one promise."""
