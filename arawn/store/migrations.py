"""The numbered migrations: the SQL statements that take the file from each version to the next.

A file's version is how many of them it has. A released migration is never changed, and each version has a fixture in
tests/store/versions.
"""

from __future__ import annotations

_CONVERSATIONS = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        name TEXT UNIQUE,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        system TEXT NOT NULL,
        parent TEXT REFERENCES sessions (id) ON DELETE SET NULL,
        branched_at INTEGER,
        summary TEXT NOT NULL DEFAULT '',
        summarised INTEGER NOT NULL DEFAULT 0,
        usage TEXT NOT NULL,
        cost TEXT
    )
    """,
    "CREATE INDEX sessions_by_age ON sessions (updated)",
    "CREATE INDEX sessions_by_parent ON sessions (parent)",
    """
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        position INTEGER NOT NULL,
        role TEXT NOT NULL,
        status TEXT NOT NULL,
        written REAL NOT NULL,
        message TEXT NOT NULL,
        text TEXT NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        raw_finish_reason TEXT NOT NULL,
        usage TEXT,
        cost TEXT,
        searchable INTEGER NOT NULL DEFAULT 0,
        UNIQUE (session, turn, position)
    )
    """,
    "CREATE INDEX messages_to_index ON messages (id) WHERE NOT searchable",
)
_MONEY = (
    """
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        day TEXT NOT NULL,
        began REAL NOT NULL,
        session TEXT NOT NULL,
        role TEXT NOT NULL,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        cache_read_tokens INTEGER NOT NULL DEFAULT 0,
        cache_write_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0,
        counted TEXT NOT NULL DEFAULT 'estimated',
        cost INTEGER,
        latency_ms REAL,
        first_token_ms REAL,
        outcome TEXT NOT NULL DEFAULT 'pending',
        error TEXT NOT NULL DEFAULT '',
        retries INTEGER NOT NULL DEFAULT 0,
        floor INTEGER,
        reserved INTEGER NOT NULL DEFAULT 0,
        process INTEGER NOT NULL DEFAULT 0,
        expires REAL NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX calls_by_day ON calls (day)",
    "CREATE INDEX calls_by_session ON calls (session) WHERE session <> ''",
    "CREATE INDEX calls_pending ON calls (backend, reserved) WHERE outcome = 'pending'",
    """
    CREATE TABLE spending (
        day TEXT NOT NULL,
        backend TEXT NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (day, backend)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE alerts (
        scope TEXT NOT NULL,
        window TEXT NOT NULL,
        percent INTEGER NOT NULL,
        PRIMARY KEY (scope, window, percent)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE uptime (backend TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE permits (
        id INTEGER PRIMARY KEY,
        backend TEXT NOT NULL,
        taken REAL NOT NULL,
        tokens INTEGER NOT NULL,
        process INTEGER NOT NULL,
        held INTEGER NOT NULL
    )
    """,
    "CREATE INDEX permits_by_backend ON permits (backend, taken)",
    "CREATE INDEX permits_held ON permits (backend) WHERE held = 1",
    """
    CREATE TABLE paces (
        backend TEXT PRIMARY KEY,
        requests_left INTEGER,
        requests_reset REAL,
        tokens_left INTEGER,
        tokens_reset REAL,
        closed_until REAL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE circuits (
        backend TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        failed REAL NOT NULL,
        failed_before REAL,
        opened REAL,
        seconds REAL NOT NULL,
        probed REAL,
        process INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE answers (
        key TEXT PRIMARY KEY,
        made REAL NOT NULL,
        used REAL NOT NULL,
        hits INTEGER NOT NULL DEFAULT 0,
        backend TEXT NOT NULL,
        model TEXT NOT NULL,
        size INTEGER NOT NULL,
        checksum BLOB NOT NULL,
        events BLOB NOT NULL
    )
    """,
    "CREATE INDEX answers_by_use ON answers (used, size)",
    "CREATE INDEX answers_by_age ON answers (made)",
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        before TEXT,
        after TEXT
    )
    """,
    """
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END
    """,
    """
    CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END
    """,
    """
    CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT raise(ABORT, 'the audit log is only ever added to'); END
    """,
)
_SUMS = (
    """
    CREATE TABLE permit_sums (
        backend TEXT PRIMARY KEY,
        permits INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        held INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "INSERT INTO permit_sums SELECT backend, count(*), sum(tokens), sum(held) FROM permits GROUP BY backend",
    """
    CREATE TRIGGER permit_is_taken AFTER INSERT ON permits BEGIN
        INSERT INTO permit_sums VALUES (NEW.backend, 1, NEW.tokens, NEW.held)
        ON CONFLICT (backend) DO UPDATE SET
            permits = permits + 1, tokens = tokens + excluded.tokens, held = held + excluded.held;
    END
    """,
    """
    CREATE TRIGGER permit_is_settled AFTER UPDATE OF tokens, held ON permits BEGIN
        UPDATE permit_sums SET tokens = tokens + NEW.tokens - OLD.tokens, held = held + NEW.held - OLD.held
        WHERE backend = NEW.backend;
    END
    """,
    """
    CREATE TRIGGER permit_is_removed AFTER DELETE ON permits BEGIN
        UPDATE permit_sums SET permits = permits - 1, tokens = tokens - OLD.tokens, held = held - OLD.held
        WHERE backend = OLD.backend;
    END
    """,
    "CREATE TABLE answer_sums (size INTEGER NOT NULL)",
    "INSERT INTO answer_sums SELECT coalesce(sum(size), 0) FROM answers",
    """
    CREATE TRIGGER answer_is_added AFTER INSERT ON answers
    BEGIN UPDATE answer_sums SET size = size + NEW.size; END
    """,
    """
    CREATE TRIGGER answer_is_replaced AFTER UPDATE OF size ON answers
    BEGIN UPDATE answer_sums SET size = size + NEW.size - OLD.size; END
    """,
    """
    CREATE TRIGGER answer_is_removed AFTER DELETE ON answers
    BEGIN UPDATE answer_sums SET size = size - OLD.size; END
    """,
)
"""Sums that change with their rows, so that a look at them costs the same however many rows there are."""
_LEARNED = (
    """
    CREATE TABLE learned (
        backend TEXT NOT NULL,
        address TEXT NOT NULL,
        model TEXT NOT NULL,
        parameter TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (backend, address, model, parameter)
    ) WITHOUT ROWID
    """,
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (_CONVERSATIONS, _MONEY, _SUMS, _LEARNED)
