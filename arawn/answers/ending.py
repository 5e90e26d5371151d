"""How an answer ended, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arawn.messages import FinishReason

if TYPE_CHECKING:
    from arawn.messages import Response

_NATURAL = (FinishReason.STOP, FinishReason.TOOL_CALLS)
_FOUND = {
    FinishReason.LENGTH: "the answer was cut at its token limit",
    FinishReason.CONTENT_FILTER: "the answer was cut by the provider's content filter",
    FinishReason.REFUSAL: "the model refused to answer",
    FinishReason.PAUSE: "the model paused its turn",
}


def unnatural_end(response: Response) -> str:
    """Return what ended an answer other than the model having said all; empty for a natural end."""
    if response.finish_reason in _NATURAL:
        return ""
    found = _FOUND.get(response.finish_reason)
    if found is None:
        said = response.raw_finish_reason
        found = "the answer ended in an unusual way" if said else "the backend did not say why the answer ended"
    detail = f": {response.finish_detail}" if response.finish_detail else ""
    return f"{found}{detail} (finish reason: {response.raw_finish_reason or 'none'})"
