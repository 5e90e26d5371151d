"""Layered configuration: where values come from, what they may be, who may set them, how they are edited."""
