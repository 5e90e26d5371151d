"""Rules of models that several tests need: one that takes no sampling, one that thinks by an effort."""

from __future__ import annotations

from arawn.adapters.base import Quirks
from arawn.adapters.rules import ModelRules

NO_SAMPLING = Quirks(rules=ModelRules(refused=frozenset({"temperature", "top_p", "top_k"})))
EFFORTS = ("low", "medium", "high", "xhigh", "max")
ADAPTIVE = ModelRules(
    efforts=EFFORTS,
    thinking_on={"thinking": {"type": "adaptive"}},
    thinking_off={"thinking": {"type": "disabled"}},
    thinking_budget=False,
)
