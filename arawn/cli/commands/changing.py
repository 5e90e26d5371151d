"""Opens the audit log for a command that is about to change something."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arawn.cli.context import Context
    from arawn.config.audit import AuditedChanges


@contextmanager
def changes_of(context: Context) -> Iterator[AuditedChanges]:
    """Give what writes changes into the audit log; what it cannot take is told as a warning."""
    from arawn.config.audit import AuditedChanges
    from arawn.store.audit import Audit, user_name
    from arawn.store.database import Database

    with Database.of_user(context.environ) as database:
        yield AuditedChanges(Audit(database, who=user_name(context.environ)), context.output.warning)
        for warning in database.warnings:
            context.output.warning(warning)
