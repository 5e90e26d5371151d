"""Writes what is made from other files: the example file, the docs' tables, the schema, the completion scripts.

``make generate`` runs it in the project's folder; tests hold each file in step with its source.
"""

from backend_facts import PAGE, refreshed

from arawn.cli.completion_scripts import FILES, script
from arawn.config.generate import main as write_configuration


def main() -> None:
    write_configuration()
    with open(PAGE, encoding="utf-8") as file:
        page = refreshed(file.read())
    with open(PAGE, "w", encoding="utf-8", newline="\n") as file:
        file.write(page)
    for shell, name in FILES.items():
        with open(f"completions/{name}", "w", encoding="utf-8", newline="\n") as file:
            file.write(script(shell))


if __name__ == "__main__":
    main()
