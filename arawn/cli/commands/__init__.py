"""One file a command. Each holds a Typer app, ``app``; it is imported when the command is invoked."""
