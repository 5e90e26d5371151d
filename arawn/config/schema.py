"""The schema of the configuration: validation, the example file, the docs and the JSON Schema are made from it.

In a path ``NAME`` stands for a name the user chooses and ``[]`` for each table of an array. ``project`` marks what a
project file may set before it is trusted: models, roles and presentation, nothing that names a host or a secret.
"""

from __future__ import annotations

from typing import TypeAlias

from arawn.config.key import Key
from arawn.config.model_keys import EFFORTS, MODEL_KEYS

Node: TypeAlias = "Key | dict[str, Node]"

ADAPTERS = ("openai", "openai_chat", "openai_responses", "anthropic", "ollama", "mlx", "mock")
PERIODS = ("day", "month", "total")
FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter", "refusal", "pause", "unknown")
MOCK_ERRORS = (
    "authentication",
    "permission",
    "connection",
    "rate_limit",
    "quota",
    "server",
    "overloaded",
    "protocol",
    "request",
    "model",
    "context_length",
    "content_filter",
    "timeout",
    "interrupted",
)

SECTIONS = {
    "llm": "The backend and model for answers, and their settings.",
    "memory.indexing": "The backend and model for background work (default: those of [llm]).",
    "embeddings": "The backend and model for embeddings.",
    "embeddings.NAME": "Settings of a backend for embeddings, where they differ from those for chat.",
    "backends.NAME": "A backend: its protocol, address and key. A built-in one needs only the keys you change.",
    "backends.NAME.replies": "Replies of a mock backend, used in order; the last one repeats.",
    "tiers": 'Names for model sizes, for -m: NAME = "backend/model".',
    "aliases": "Your own names for models, for -m; an alias overrides a tier of the same name.",
    "models.NAME": "Facts about a model that override the catalogue; NAME is the model's id, in quotes.",
    "budget": "Spending limits: once a limit is reached, no request is sent. Days and months are in UTC.",
    "budget.backends.NAME": "The spending limit of one backend, in addition to the limit for all.",
    "cache": "Cached responses: a repeated request is answered without a call.",
    "health": "Health checks of backends.",
    "log": "The log of calls, for programs: one JSON object per line.",
    "chat": "The prompt and the display of chat.",
    "sessions": "Saved conversations.",
    "env": "Additional sources of environment variables.",
}

KEYS = (
    Key("llm.backend", "string", "The backend for answers, by the name of its table.", "groq", project=True),
    Key(
        "llm.model",
        "string",
        "The model: an id of that backend; without a backend also a tier, an alias or backend/model.",
        "openai/gpt-oss-120b",
        project=True,
    ),
    Key("llm.system", "text", "The system prompt.", "Answer briefly.", project=True),
    Key(
        "llm.temperature",
        "number",
        "The sampling temperature (default: the provider's).",
        0.7,
        minimum=0,
        maximum=2,
        project=True,
    ),
    Key("llm.max_tokens", "integer", "The maximum length of an answer, in tokens.", 4096, minimum=1, project=True),
    Key("llm.effort", "string", "The reasoning effort.", "low", choices=EFFORTS, project=True),
    Key(
        "llm.fallback",
        "strings",
        "Backends to try, in order, when this one fails: backends, tiers, aliases or backend/model.",
        ["groq", "ollama"],
        project=True,
    ),
    Key(
        "llm.timeout",
        "number",
        "The timeout in seconds for any backend; it overrides the backend's own timeout.",
        120,
        above=0,
    ),
    Key("memory.indexing.backend", "string", "The backend for background work.", "anthropic", project=True),
    Key("memory.indexing.model", "string", "The model for background work.", "claude-haiku-5-5", project=True),
    Key("embeddings.backend", "string", "The backend for embeddings.", "openai", project=True),
    Key("embeddings.model", "string", "The embedding model.", "text-embedding-3-small", project=True),
    Key(
        "embeddings.dimensions",
        "integer",
        "The length of the vectors, for models that can shorten them.",
        512,
        minimum=1,
        project=True,
    ),
    Key("embeddings.NAME.api_key", "reference", "The API key, if it is not the backend's.", "$env:OPENAI_API_KEY"),
    Key("embeddings.NAME.model", "string", "The embedding model.", "text-embedding-3-small"),
    Key("embeddings.NAME.base_url", "url", "The base URL, if it is not the backend's.", "https://api.openai.com/v1"),
    Key(
        "backends.NAME.adapter",
        "string",
        "The protocol of the backend; required unless the backend is built in.",
        "openai_chat",
        choices=ADAPTERS,
    ),
    Key("backends.NAME.label", "string", "The name to display (default: NAME).", "My server"),
    Key(
        "backends.NAME.base_url",
        "url",
        "The base URL as the service documents it: with /v1 for OpenAI protocols, without for Anthropic and Ollama.",
        "https://llm.example.com/v1",
    ),
    Key(
        "backends.NAME.api_key",
        "reference",
        "The API key, as a reference: $env:VARIABLE, $keyring:NAME, $file:PATH or, in your own file, $cmd:COMMAND.",
        "$keyring:my-server",
    ),
    Key(
        "backends.NAME.base_url_env",
        "map",
        "Variables that name the base URL where no file does, each with the path to append: VARIABLE = PATH.",
        {"MY_SERVER_URL": "/v1"},
    ),
    Key(
        "backends.NAME.in_process",
        "string",
        "The backend with the same models in this process: used instead where its package is installed.",
        "mlx-lm",
    ),
    Key("backends.NAME.model", "string", "The default model.", "llama-3.3-70b"),
    Key("backends.NAME.max_tokens", "integer", "The maximum length of an answer, in tokens.", 4096, minimum=1),
    Key("backends.NAME.temperature", "number", "The sampling temperature.", 0.7, minimum=0, maximum=2),
    Key(
        "backends.NAME.timeout",
        "number",
        "Seconds to wait for the first event, and between two events, before the call fails.",
        120,
        default=60.0,
        above=0,
    ),
    Key("backends.NAME.connect_timeout", "number", "Seconds to wait for a connection.", 5, default=10.0, above=0),
    Key(
        "backends.NAME.first_event_timeout",
        "number",
        "Seconds to wait for the first event, if longer than timeout, as when a local server loads its model.",
        300,
        above=0,
    ),
    Key("backends.NAME.total_timeout", "number", "Seconds the whole call may take (default: no limit).", 600, above=0),
    Key(
        "backends.NAME.max_retries",
        "integer",
        "How often to retry a call that failed before its answer began.",
        0,
        default=3,
        minimum=0,
        maximum=10,
    ),
    Key(
        "backends.NAME.retry_ambiguous",
        "boolean",
        "Also retry a call that the server may have processed, and charged for.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.hourly_rate",
        "number",
        "The cost of a server of your own while it works, in USD per hour; used where no token price is known.",
        0.16,
        minimum=0,
    ),
    Key("backends.NAME.rpm", "integer", "Requests per minute, across all processes on this machine.", 50, minimum=1),
    Key("backends.NAME.tpm", "integer", "Tokens per minute, across all processes on this machine.", 40_000, minimum=1),
    Key("backends.NAME.concurrent", "integer", "Concurrent calls, across all processes on this machine.", 4, minimum=1),
    Key("backends.NAME.health_path", "path", "The path of the health check (default: the list of models).", "/key"),
    Key("backends.NAME.extra", "table", "Fields added to the body of every request.", {"seed": 7}),
    Key("backends.NAME.headers", "map", "Headers added to every request.", {"x-team": "research"}),
    Key("backends.NAME.query", "map", "Query parameters added to every URL.", {"api-version": "2024-10-21"}),
    Key("backends.NAME.auth_header", "header", "The header for the API key.", "api-key", default="authorization"),
    Key("backends.NAME.auth_prefix", "string", "The text before the API key in that header.", "", default="Bearer "),
    Key("backends.NAME.ca_bundle", "file", "A PEM file of additional CA certificates to trust.", "/etc/ssl/corp.pem"),
    Key(
        "backends.NAME.insecure_tls",
        "boolean",
        "Do not verify the server's certificate; every run prints a warning.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.allow_http",
        "boolean",
        "Allow sending the API key over plain HTTP to another machine.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.proxy",
        "proxy",
        "The proxy for this backend, instead of the environment's.",
        "http://proxy.example.com:3128",
    ),
    Key(
        "backends.NAME.chat_path",
        "path",
        "The path for chat requests; {model} is replaced by the model.",
        "/chat/completions",
    ),
    Key("backends.NAME.models_path", "path", "The path of the list of models.", "/models"),
    Key("backends.NAME.embeddings_path", "path", "The path for embedding requests.", "/embeddings"),
    Key("backends.NAME.max_tokens_key", "string", "The service's name for max_tokens.", "max_completion_tokens"),
    Key(
        "backends.NAME.default_max_tokens",
        "integer",
        "The max_tokens to send when none is set, for services that require it.",
        8192,
        minimum=1,
    ),
    Key("backends.NAME.system_role", "string", "The role of the system prompt.", "developer"),
    Key(
        "backends.NAME.stream_usage",
        "boolean",
        "Request token usage in streams; false if the service rejects that.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.effort_key",
        "string",
        'The field for the reasoning effort: "reasoning_effort", or "reasoning" for an object.',
        "reasoning_effort",
    ),
    Key(
        "backends.NAME.json_schema",
        "boolean",
        "Whether the service supports JSON Schema for structured output.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.prompt_cache",
        "string",
        "How long the server is asked to keep the prefix of a conversation, where that is asked for (default: 5m).",
        "1h",
        choices=("5m", "1h", "off"),
    ),
    Key(
        "backends.NAME.cache_key",
        "string",
        "Responses: the field for a key that keeps a conversation where its prefix is cached.",
        "prompt_cache_key",
    ),
    Key(
        "backends.NAME.sampling", "boolean", "Whether the service supports temperature and top_p.", False, default=True
    ),
    Key(
        "backends.NAME.adaptive_thinking",
        "boolean",
        "Whether an Anthropic service takes an effort for thinking instead of a token budget, for unknown models.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.output_includes_reasoning",
        "boolean",
        "Whether the output token count includes reasoning tokens.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.reasoning_tag",
        "string",
        "The tag around the thoughts with which the text of an answer opens, as in <think> … </think>.",
        "think",
    ),
    Key(
        "backends.NAME.tool_call_id_length",
        "integer",
        "The length of the ids of tool calls, in letters and digits, where a service insists on one.",
        9,
        minimum=4,
        maximum=64,
    ),
    Key("backends.NAME.mode", "string", "Mock: echo the user's last message.", "echo", choices=("echo",)),
    Key("backends.NAME.replies.[].text", "text", "The text of the answer.", "Hello!"),
    Key("backends.NAME.replies.[].reasoning", "text", "The reasoning before the answer.", "A greeting."),
    Key(
        "backends.NAME.replies.[].tool_call",
        "table",
        "Call a tool instead of answering.",
        {"name": "search", "arguments": {"q": "tea"}},
    ),
    Key(
        "backends.NAME.replies.[].error",
        "string",
        "Fail with this error instead of answering.",
        "rate_limit",
        choices=MOCK_ERRORS,
    ),
    Key("backends.NAME.replies.[].finish_reason", "string", "The finish reason.", "length", choices=FINISH_REASONS),
    Key(
        "backends.NAME.replies.[].match",
        "string",
        "A regular expression: use this reply only for messages that match.",
        "hello",
    ),
    Key("backends.NAME.replies.[].latency_ms", "number", "Milliseconds before the answer.", 200, minimum=0),
    Key("backends.NAME.replies.[].tokens_per_second", "number", "Tokens per second of the answer.", 50, minimum=0),
    Key("tiers.NAME", "string", "A size and its model.", "anthropic/claude-haiku-5-5", project=True),
    Key("aliases.NAME", "string", "A name and its model.", "groq/openai/gpt-oss-120b", project=True),
    *MODEL_KEYS,
    Key("budget.limit", "number", "The spending limit for all backends together, in USD.", 20.0, minimum=0),
    Key("budget.period", "string", "The period of the limit.", "day", default="month", choices=PERIODS),
    Key(
        "budget.unpriced",
        "string",
        "What to do with calls whose price is not known, while a limit is set.",
        "allow",
        default="refuse",
        choices=("refuse", "allow"),
    ),
    Key("budget.backends.NAME.limit", "number", "The spending limit of this backend, in USD.", 5.0, minimum=0),
    Key("budget.backends.NAME.period", "string", "The period of the limit.", "day", default="month", choices=PERIODS),
    Key("cache.enabled", "boolean", "Use cached responses.", True, default=False),
    Key("cache.ttl", "number", "Seconds a cached response stays valid.", 3600, default=86_400.0, above=0),
    Key(
        "cache.max_mb",
        "number",
        "The size of the cache in megabytes; the least recently used responses are removed first.",
        500,
        default=100.0,
        above=0,
    ),
    Key(
        "health.slow_ms",
        "number",
        "Milliseconds above which a healthy backend is reported as slow.",
        500,
        default=2000.0,
        above=0,
    ),
    Key("log.file", "file", "The log file, relative to this file (default: no log).", "arawn.log"),
    Key("log.content", "boolean", "Also log the text of requests and responses.", True, default=False),
    Key("log.otel", "boolean", "Also send telemetry to OpenTelemetry; needs the extra otel.", True, default=False),
    Key(
        "chat.editing_mode", "string", "The key bindings of the prompt.", "vi", default="emacs", choices=("emacs", "vi")
    ),
    Key(
        "chat.theme",
        "string",
        "The colours of answers: those of the terminal, or colours for a light or dark background.",
        "dark",
        default="default",
        choices=("default", "light", "dark"),
    ),
    Key(
        "chat.overflow",
        "string",
        "What to do with the oldest turns when a conversation exceeds the context window.",
        "drop",
        default="summary",
        choices=("summary", "drop", "error"),
    ),
    Key("sessions.save", "boolean", "Save every question of ask with its answer.", False, default=True),
    Key(
        "sessions.keep_days",
        "integer",
        "Days after which `arawn sessions purge` deletes unused sessions without a name (default: never).",
        90,
        minimum=1,
    ),
    Key("env.file", "file", "A file of KEY=value lines, relative to this file.", ".env"),
)


def key_tree() -> dict[str, Node]:
    """Return the keys as nested tables; ``*`` stands for a name the user chooses."""
    tree: dict[str, Node] = {}
    for key in KEYS:
        *tables, last = key.path.replace("NAME", "*").split(".")
        node = tree
        for table in tables:
            inner = node.setdefault(table, {})
            assert isinstance(inner, dict), f"{key.path} is under a key"
            node = inner
        node[last] = key
    return tree


def find(path: tuple[str | int, ...]) -> Key | None:
    """Return the key at a path like ``("backends", "groq", "model")``; None for a table, and for what is unknown."""
    node: Node | None = key_tree()
    for part in path:
        if not isinstance(node, dict):
            return None
        node = node.get("[]") if isinstance(part, int) else node.get(part, node.get("*"))
    return node if isinstance(node, Key) else None
