"""Secrets: where they are kept, the references that name them, and where they may be sent."""

MARKS = ("$env:", "$keyring:", "$file:", "$cmd:")
"""What a reference begins with."""
FORMS = "$env:VARIABLE, $keyring:NAME, $file:PATH or $cmd:COMMAND"
"""The forms of a reference, for messages."""
