"""Writes what is made from other files: the example file, the docs' tables, the schema, the completion scripts.

``make generate`` runs it in the project's folder; tests hold each file in step with its source.
"""

from arawn.cli.commands.completions import script
from arawn.config.generate import main as write_configuration

COMPLETIONS = {
    "bash": "completions/arawn.bash",
    "zsh": "completions/_arawn",
    "fish": "completions/arawn.fish",
    "powershell": "completions/arawn.ps1",
}


def main() -> None:
    write_configuration()
    for shell, path in COMPLETIONS.items():
        text = script(shell)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)


if __name__ == "__main__":
    main()
