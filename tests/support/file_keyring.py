"""A keyring that works, in the JSON file $FILE_KEYRING; every touch of it leaves a line in $FILE_KEYRING.log.

Processes use it through PYTHON_KEYRING_BACKEND=file_keyring.FileKeyring with this folder on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        return self._kept("get", username).get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self._keep({**self._kept("set", username), f"{service}/{username}": password})

    def delete_password(self, service, username):
        kept = self._kept("delete", username)
        del kept[f"{service}/{username}"]
        self._keep(kept)

    def _kept(self, action, name):
        with open(f"{os.environ['FILE_KEYRING']}.log", "a", encoding="utf-8") as log:
            log.write(f"{action} {name}\n")
        file = Path(os.environ["FILE_KEYRING"])
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _keep(self, kept):
        Path(os.environ["FILE_KEYRING"]).write_text(json.dumps(kept), encoding="utf-8")


def environ_of(folder: Path) -> dict[str, str]:
    """The environment that makes a process use this keyring, kept in a folder."""
    return {
        "PYTHON_KEYRING_BACKEND": "file_keyring.FileKeyring",
        "PYTHONPATH": str(Path(__file__).parent),
        "FILE_KEYRING": str(folder / "ring.json"),
    }
