"""The commands about conversations and their turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.cli.repl.choosing import switch_model
from arawn.cli.repl.reply import Waiting
from arawn.cli.report.tables import print_table
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.session.turns import first_line

if TYPE_CHECKING:
    from arawn.cli.repl.loop import Chat
    from arawn.store.records import SessionInfo
    from arawn.store.sessions import Sessions

LISTED = 15
_BESIDE_TITLE = 50
_NARROWEST = 20
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def clear(chat: Chat, _words: str) -> None:
    """Clear the screen and begin a new conversation."""
    chat.screen.clear()
    new(chat, "")


def new(chat: Chat, words: str) -> None:
    """Begin a new conversation."""
    chat.tell_where_it_is()
    chat.begin(words)
    chat.screen.note(f'a new conversation "{words}"' if words else "a new conversation")


def sessions(chat: Chat, words: str) -> None:
    """List or search the saved conversations."""
    store = _store(chat)
    if words:
        _search(chat, store, words)
        return
    room = max(_NARROWEST, chat.screen.size[0] - _BESIDE_TITLE)
    rows = [_row(info, room) for info in store.recent(LISTED)]
    if not rows:
        raise UsageError("there is no saved conversation yet")
    print_table(chat.output, ("id", "age", "turns", "title", "model", "cost"), rows)
    chat.screen.note("go on with one: /resume ID")


def _search(chat: Chat, store: Sessions, words: str) -> None:
    hits = store.search(words, LISTED)
    if not hits:
        raise UsageError(f"nothing said has all of: {words}")
    for hit in hits:
        chat.output.line(f"{hit.session}  {hit.before}{hit.found}{hit.after}")
    chat.screen.note("go on with one: /resume ID")


def resume(chat: Chat, words: str) -> None:
    """Go on with a saved conversation."""
    store = _store(chat)
    if not words:
        sessions(chat, "")
        return
    info = store.resolve(words)
    chat.tell_where_it_is()
    chat.resume(store.load(info.id))


async def title(chat: Chat, words: str) -> None:
    """Give the conversation a title."""
    if not chat.session.turns:
        raise UsageError("the conversation has no title before its first message")
    if words:
        chat.session.retitle(words)
    else:
        await chat.attend(chat.session.make_title(), Waiting(chat.screen, "a title"))
    chat.screen.note(f"title: {chat.session.title}")


async def retry(chat: Chat, words: str) -> None:
    """Ask the last question again, perhaps of another model."""
    numbered(chat, "")
    if words:
        switch_model(chat, words)
    await chat.answer(chat.session.retry())


def edit(chat: Chat, words: str) -> None:
    """Put a question back into the prompt."""
    number = numbered(chat, words)
    chat.edit(number, chat.session.turns[number - 1].question.text)
    if number < len(chat.session.turns):
        chat.screen.note("what was said after it stays in the conversation as it is; this one goes on in a branch")


def undo(chat: Chat, _words: str) -> None:
    """Remove the last turn."""
    removed = chat.session.undo()
    chat.screen.note(f'removed "{first_line(removed.question.text)}" and its answer')


def branch(chat: Chat, words: str) -> None:
    """Go on from a turn in a conversation of its own."""
    number = numbered(chat, words)
    chat.tell_where_it_is()
    made = chat.session.branch(number)
    chat.screen.note(f"going on from turn {number} in a branch" + (f", {made}" if made else ""))


def numbered(chat: Chat, words: str) -> int:
    """Return the number of a turn, the last where none is named. Raises UsageError where there is no such turn."""
    count = len(chat.session.turns)
    number = int(words) if words.isdecimal() else count if not words else 0
    if not 1 <= number <= count:
        raise UsageError(f"expected a turn from 1 to {count}: got {words!r}" if count else "nothing was said yet")
    return number


def _store(chat: Chat) -> Sessions:
    if chat.sessions is None:
        raise UsageError("this chat is private: it neither keeps conversations nor goes on with kept ones")
    return chat.sessions


def _row(info: SessionInfo, room: int) -> tuple[str, ...]:
    cost = "" if info.cost is None else money(info.cost)
    title = f"{info.name}: {info.title}" if info.name else info.title
    title = title if len(title) <= room else f"{title[: room - 1]}…"
    return info.id, age(time.time() - info.updated), str(info.turns), title, f"{info.backend}/{info.model}", cost


def age(seconds: float) -> str:
    """Return how long ago something was: 5 min, 3 h, 12 d."""
    return next((f"{int(seconds // size)} {unit}" for size, unit in _AGES if seconds >= size), "now")
