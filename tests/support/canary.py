"""``CANARY``, a key that must never be seen, and the only address it may be sent to."""

from __future__ import annotations

CANARY = "sk-canary-4711-0815-7fQA"
ANTHROPIC = "https://api.anthropic.com"
