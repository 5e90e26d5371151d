"""The commands that save, export, copy and attach: files, the clipboard, whole conversations."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from arawn.answers.extract import code_blocks
from arawn.answers.pictures import save_pictures
from arawn.cli.repl import clipboard
from arawn.errors import UsageError
from arawn.files import require_place, write_output
from arawn.store.records import Entry, SessionInfo, Transcript

if TYPE_CHECKING:
    from arawn.cli.repl.control import ChatControl
    from arawn.config.roles import Choice
    from arawn.session.session import Session

_CODE = "code"
"""The argument of /copy for code blocks."""


def save(chat: ChatControl, words: str) -> None:
    """Write the last answer to a file, its pictures beside it."""
    if not words:
        raise UsageError("which file? /save FILE", hints=["the whole conversation: /export FILE"])
    answers = [turn.answer for turn in chat.session.turns if turn.answer and (turn.answer.text or turn.answer.images)]
    if not answers:
        raise UsageError("there is no answer yet")
    if answers[-1].text:
        _write(chat, words, answers[-1].text)
    for path in save_pictures(answers[-1].images, os.path.expanduser(words.strip("\"'"))):
        if path:
            chat.screen.notify(f"wrote {path}")


def export(chat: ChatControl, words: str) -> None:
    """Write the conversation to a file; its suffix decides the format."""
    from arawn.store.export import to_html, to_json, to_markdown

    if not chat.session.turns:
        raise UsageError("nothing was said yet")
    path = words or f"arawn-{chat.session.id or 'private'}.md"
    formats = {".md": to_markdown, ".json": to_json, ".html": to_html}
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in formats:
        raise UsageError(f"{path}: unknown format", hints=["name a file that ends in " + ", ".join(formats)])
    saved = chat.sessions.load(chat.session.id) if chat.sessions and chat.session.id else None
    _write(chat, path, formats[suffix](saved or unsaved_transcript(chat.session)))


def copy(chat: ChatControl, words: str) -> None:
    """Copy an answer, or a code block of the last one."""
    wants_code = words.split()[:1] == [_CODE]
    texts = list(code_blocks(answer_texts(chat)[-1])) if wants_code else answer_texts(chat)[::-1]
    if not texts:
        raise UsageError("there is no block of code in the last answer")
    what = "code block" if wants_code else "answer"
    number = _parse_number(words.removeprefix(_CODE).strip(), len(texts), what)
    how = clipboard.copy(texts[number - 1], chat.environ, chat.screen.write)
    which = f"{what} {number} of {len(texts)}" if wants_code or number > 1 else f"the last {what}"
    chat.screen.notify(f"copied {which} ({len(texts[number - 1]):,} characters) {how}")


def file(chat: ChatControl, words: str) -> None:
    """Attach a file to the next message."""
    if words == "off":
        chat.attachments.clear()
    elif words:
        chat.attachments.add(words.strip("\"'"))
    names = chat.attachments.descriptions
    chat.screen.notify("with your next message goes " + ", ".join(names) if names else "no file is attached")


def answer_texts(chat: ChatControl) -> list[str]:
    """Return the texts of all answers, oldest first. Raises UsageError if there is none."""
    texts = [turn.answer.text for turn in chat.session.turns if turn.answer is not None and turn.answer.text]
    if not texts:
        raise UsageError("there is no answer yet")
    return texts


def unsaved_transcript(session: Session[Choice]) -> Transcript:
    """Return a conversation that is not in the store in the form of one that is."""
    now = time.time()
    entries = [
        Entry(message=message, turn=number, position=position, written=now, model=session.choice.model)
        for number, turn in enumerate(session.turns, 1)
        for position, message in enumerate(turn.messages)
    ]
    info = SessionInfo(
        id="",
        name="",
        title=session.title,
        created=now,
        updated=now,
        backend=session.choice.backend,
        model=session.choice.model,
        system=session.system,
        parent=None,
        branched_at=None,
        summary="",
        summarised=0,
        usage=session.usage,
        cost=session.cost,
    )
    return Transcript(info, tuple(entries))


def _parse_number(word: str, count: int, what: str) -> int:
    number = int(word) if word.isdecimal() else 0 if word else 1
    if not 1 <= number <= count:
        there = f"is 1 {what}" if count == 1 else f"are {count} {what}s"
        raise UsageError(f"expected a number from 1 to {count}: there {there}")
    return number


def _write(chat: ChatControl, path: str, text: str) -> None:
    path = os.path.expanduser(path.strip("\"'"))
    if os.path.exists(path):
        raise UsageError(f"{path} is there already", hints=["name another file, or remove that one first"])
    require_place(path)
    data = text.encode("utf-8", "replace")
    write_output(path, data if data.endswith(b"\n") else data + b"\n")
    chat.screen.notify(f"wrote {path} ({len(data):,} bytes)")
