"""How references to secrets are written: ``$keyring:NAME``, ``$env:NAME``, ``$file:PATH``, ``$cmd:COMMAND``."""

MARKS = ("$env:", "$keyring:", "$file:", "$cmd:")
"""What a reference begins with."""
FORMS = "$env:VARIABLE, $keyring:NAME, $file:PATH or $cmd:COMMAND"
"""The forms of a reference, for messages."""
