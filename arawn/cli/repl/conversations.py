"""The commands for conversations and their turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arawn.cli.repl.views import Spinner
from arawn.cli.report.tables import print_table
from arawn.errors import UsageError
from arawn.models.money import money
from arawn.session.turns import first_line

if TYPE_CHECKING:
    from arawn.cli.repl.control import ChatControl
    from arawn.store.records import SessionInfo
    from arawn.store.sessions import Sessions

_MAX_LISTED = 15
"""Conversations in a list."""
_OTHER_COLUMNS = 50
"""Columns of the screen beside the title in a list."""
_MIN_TITLE_WIDTH = 20
"""Columns of a title in a list on any screen."""
_AGE_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
"""Seconds and name of each unit."""


def clear(chat: ChatControl, _words: str) -> None:
    """Clear the screen and begin a new conversation."""
    chat.screen.clear()
    new(chat, "")


def new(chat: ChatControl, words: str) -> None:
    """Begin a new conversation."""
    chat.notify_saved()
    chat.begin(words)
    chat.screen.notify(f'a new conversation "{words}"' if words else "a new conversation")


def sessions(chat: ChatControl, words: str) -> None:
    """List or search the saved conversations."""
    store = _store(chat)
    if words:
        _search(chat, store, words)
        return
    room = max(_MIN_TITLE_WIDTH, chat.screen.size[0] - _OTHER_COLUMNS)
    rows = [_row(info, room) for info in store.recent(_MAX_LISTED)]
    if not rows:
        raise UsageError("there is no saved conversation yet")
    print_table(chat.output, ("id", "age", "turns", "title", "model", "cost"), rows)
    chat.screen.notify("go on with one: /resume ID")


def _search(chat: ChatControl, store: Sessions, words: str) -> None:
    hits = store.search(words, _MAX_LISTED)
    if not hits:
        raise UsageError(f"no message contains all of: {words}")
    for hit in hits:
        chat.output.line(f"{hit.session}  {hit.before}{hit.found}{hit.after}")
    chat.screen.notify("go on with one: /resume ID")


def resume(chat: ChatControl, words: str) -> None:
    """Continue a saved conversation."""
    store = _store(chat)
    if not words:
        sessions(chat, "")
        return
    info = store.resolve(words)
    chat.notify_saved()
    chat.resume(store.load(info.id))


async def title(chat: ChatControl, words: str) -> None:
    """Give the conversation a title."""
    if not chat.session.turns:
        raise UsageError("the conversation has no title before its first message")
    if words:
        chat.session.retitle(words)
    else:
        await chat.run_cancellable(chat.session.make_title(), Spinner(chat.screen, "a title"))
    chat.screen.notify(f"title: {chat.session.title}")


async def retry(chat: ChatControl, words: str) -> None:
    """Ask the last question again, with another model if one is named."""
    _turn_number(chat, "")
    if words:
        chat.switch_model(words)
    await chat.answer(chat.session.retry())


def edit(chat: ChatControl, words: str) -> None:
    """Put a question back into the prompt."""
    number = _turn_number(chat, words)
    chat.edit(number, chat.session.turns[number - 1].question.text)
    if number < len(chat.session.turns):
        chat.screen.notify("later turns stay in this conversation; the new question continues in a branch")


def undo(chat: ChatControl, _words: str) -> None:
    """Remove the last turn."""
    removed = chat.session.undo()
    chat.screen.notify(f'removed "{first_line(removed.question.text)}" and its answer')


def branch(chat: ChatControl, words: str) -> None:
    """Continue from a turn in a new conversation."""
    number = _turn_number(chat, words)
    chat.notify_saved()
    made = chat.session.branch(number)
    chat.screen.notify(f"going on from turn {number} in a branch" + (f", {made}" if made else ""))


def _turn_number(chat: ChatControl, words: str) -> int:
    """Return the number of a turn, the last if none is named. Raises UsageError if there is no such turn."""
    count = len(chat.session.turns)
    number = int(words) if words.isdecimal() else count if not words else 0
    if not 1 <= number <= count:
        raise UsageError(f"expected a turn from 1 to {count}: got {words!r}" if count else "nothing was said yet")
    return number


def _store(chat: ChatControl) -> Sessions:
    if chat.sessions is None:
        raise UsageError("this chat is private: it neither saves conversations nor continues saved ones")
    return chat.sessions


def _row(info: SessionInfo, room: int) -> tuple[str, ...]:
    cost = "" if info.cost is None else money(info.cost)
    title = f"{info.name}: {info.title}" if info.name else info.title
    title = title if len(title) <= room else f"{title[: room - 1]}…"
    return info.id, age(time.time() - info.updated), str(info.turns), title, f"{info.backend}/{info.model}", cost


def age(seconds: float) -> str:
    """Return an age in its largest unit: 5 min, 3 h, 12 d."""
    return next((f"{int(seconds // size)} {unit}" for size, unit in _AGE_UNITS if seconds >= size), "now")
