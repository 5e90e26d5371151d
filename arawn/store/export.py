"""Export of a conversation: as Markdown, as JSON, or as one HTML page that loads nothing and runs no script."""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arawn.answers.sources import source_lines
from arawn.messages import Image, ProviderItem, Reasoning, Refusal, Role, Text, ToolCall, ToolResult
from arawn.store.message_json import message_to_json, usage_to_json
from arawn.values import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.messages import Part
    from arawn.store.records import Entry, Transcript

VERSION = 1
_SPEAKERS = {Role.USER: "You", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System", Role.TOOL: "Tool"}
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }}
section {{ margin: 1rem 0; padding: .5rem 1rem; border-left: 3px solid #ccc; }}
section.user {{ border-color: #36c; }}
h2, small {{ font-size: .8rem; color: #666; margin: 0; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .5rem 0; }}
.aside {{ color: #666; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p><small>{about}</small></p>
{body}
</body>
</html>
"""


def to_json(transcript: Transcript) -> str:
    """Return everything that is saved of a conversation, as one JSON object."""
    info = {**as_dict(transcript.info), "usage": usage_to_json(transcript.info.usage)}
    messages = [_entry_to_json(entry) for entry in transcript.entries]
    written = {"v": VERSION, "session": info, "messages": messages}
    return json.dumps(written, indent=2, default=_plain) + "\n"


def to_markdown(transcript: Transcript) -> str:
    """Return a conversation as Markdown: texts unchanged, without the bytes of images."""
    lines = [f"# {_one_line(transcript.info.title)}", "", f"*{_about(transcript)}*", ""]
    for entry in transcript.entries:
        lines += [f"## {_heading(entry)}", ""]
        for part in entry.message.parts:
            lines += [_part_to_markdown(part), ""]
        if sources := source_lines(entry.message.citations):
            lines += [f"    {_one_line(line)}" for line in sources] + [""]
        lines += [f"*{_ending(entry)}*", ""] if entry.status != "complete" else []
    return _writable("\n".join(lines))


def to_html(transcript: Transcript) -> str:
    """Return a conversation as one page: all text is escaped, pictures are embedded, and nothing is fetched."""
    body = "\n".join(_section(entry) for entry in transcript.entries)
    page = _PAGE.format(title=_escaped(transcript.info.title), about=_escaped(_about(transcript)), body=body)
    return _writable(page)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    usage = None if entry.usage is None else usage_to_json(entry.usage)
    return {**as_dict(entry), "message": message_to_json(entry.message), "usage": usage}


def _plain(value: object) -> Any:
    """Write what JSON lacks: exact costs as text, mappings as objects."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def _about(transcript: Transcript) -> str:
    info = transcript.info
    when = _when(info.created)
    cost = "" if info.cost is None else f", ${info.cost:f}"
    return f"{when}, {_one_line(info.backend)}/{_one_line(info.model)}, {info.usage.total_tokens:,} tokens{cost}"


def _heading(entry: Entry) -> str:
    speaker = _SPEAKERS[entry.message.role]
    model = f" ({_one_line(entry.model)})" if entry.message.role is Role.ASSISTANT else ""
    return f"{speaker}{model}, {_when(entry.written)}"


def _ending(entry: Entry) -> str:
    why = entry.message.metadata.get("error", "")
    end = {"partial": "stopped here", "incomplete": "broke off here", "error": "no answer"}[entry.status]
    return _one_line(f"[{end}: {why}]" if why else f"[{end}]")


def _when(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _part_to_markdown(part: Part) -> str:
    match part:
        case Text(text) | Refusal(text):
            return text
        case Reasoning(text):
            return "\n".join(f"> {line}" for line in text.splitlines()) or "> [hidden reasoning]"
        case _:
            return "\n".join(f"    {line}" for line in _aside(part).splitlines())


def _section(entry: Entry) -> str:
    parts = "\n".join(_part_to_html(part) for part in entry.message.parts)
    sources = "\n".join(source_lines(entry.message.citations))
    parts += f'\n<pre class="aside">{_escaped(sources)}</pre>' if sources else ""
    end = "" if entry.status == "complete" else f'<p class="aside">{_escaped(_ending(entry))}</p>'
    return f'<section class="{entry.message.role.value}"><h2>{_escaped(_heading(entry))}</h2>\n{parts}\n{end}</section>'


def _part_to_html(part: Part) -> str:
    match part:
        case Text(text) | Refusal(text):
            return f"<pre>{_escaped(text)}</pre>"
        case Reasoning(text):
            return f'<pre class="aside">{_escaped(text or "[hidden reasoning]")}</pre>'
        case Image(data, media_type) if data and media_type in _PICTURES:
            written = b2a_base64(data, newline=False).decode()
            return f'<img alt="" src="data:{media_type};base64,{written}">'
        case ToolResult(content=content) if any(isinstance(each, Image) for each in content):
            return "\n".join(map(_part_to_html, content))
        case _:
            return f'<pre class="aside">{_escaped(_aside(part))}</pre>'


def _aside(part: Part) -> str:
    """Return the text that stands for a part that is not text."""
    match part:
        case Image(data, media_type, url):
            return f"[image: {_one_line(url) or f'{_one_line(media_type)}, {len(data):,} bytes'}]"
        case ToolCall(_, name, arguments):
            return f"[call: {_one_line(name)}({arguments})]"
        case ToolResult(_, content, name):
            return f"[result of {_one_line(name)}]\n" + "\n".join(_texts_of(content))
        case ProviderItem(item):
            return f"[{_one_line(str(item.get('type', 'item')))} of the provider]"
        case _:
            return part.text


def _texts_of(content: tuple[Text | Image, ...]) -> Iterator[str]:
    for part in content:
        yield part.text if isinstance(part, Text) else _aside(part)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """Return text for HTML, between tags or in an attribute; control characters become visible."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _writable(text: str) -> str:
    """Return the text without halves of surrogate pairs, which no file in UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()
