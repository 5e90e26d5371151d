"""The folders for configuration and data: ``$ARAWN_HOME`` for both, else the platform's own for each."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def config_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the user's configuration."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config", "user_config_dir")


def data_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of the user's data."""
    return _folder(environ, "XDG_DATA_HOME", os.path.join(".local", "share"), "user_data_dir")


def home_folder(environ: Mapping[str, str]) -> str:
    """Return the user's home."""
    return environ.get("HOME") or os.path.expanduser("~")


def follows_xdg() -> bool:
    """Whether this platform keeps to the XDG base directory specification."""
    return os.name == "posix" and sys.platform != "darwin"


def _folder(environ: Mapping[str, str], variable: str, xdg_default: str, platformdirs_name: str) -> str:
    if home := environ.get("ARAWN_HOME"):
        return os.path.abspath(home)
    if follows_xdg():
        base = environ.get(variable, "")
        return os.path.join(base if os.path.isabs(base) else os.path.join(home_folder(environ), xdg_default), "arawn")
    import platformdirs  # 12 ms: not worth it where two variables say the same

    folder: str = getattr(platformdirs, platformdirs_name)("arawn", appauthor=False)
    return folder
