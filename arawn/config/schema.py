"""The keys of the configuration: the one table that checking, the example file, the docs and the JSON Schema come from.

In a path ``NAME`` stands for a name the user chooses and ``[]`` for each table of an array. ``project`` marks what a
project file may set before it is trusted: models, roles and presentation, nothing that names a host or a secret.
"""

from __future__ import annotations

from typing import TypeAlias

from arawn.config.key import Key

Node: TypeAlias = "Key | dict[str, Node]"

ADAPTERS = ("openai_chat", "openai_responses", "anthropic", "ollama", "mlx", "mock")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
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
    "llm": "Which backend and model answer, and how.",
    "memory.indexing": "Which backend and model do background work; left out, those of [llm].",
    "embeddings": "Which backend and model turn texts into vectors.",
    "embeddings.NAME": "How a backend makes vectors, where that differs from how it answers questions.",
    "backends.NAME": "One backend: its protocol, its address, its key. The built-in ones need only what you change.",
    "backends.NAME.replies": "The responses of a mock backend: used in order, the last one repeats.",
    "tiers": 'Names for sizes of model, for -m: NAME = "backend/model".',
    "aliases": "Your own names for models, for -m; they take precedence over tiers of the same name.",
    "models.NAME": "Prices and limits of a model that override the catalogue; NAME is its id, in quotes.",
    "budget": "How much may be spent; when a limit is reached, nothing more is sent. Days and months are those of UTC.",
    "budget.backends.NAME": "How much may be spent at one backend, in addition to the limit for all.",
    "cache": "Cached responses: the same request is answered from the cache, without a call.",
    "health": "How the health of backends is judged.",
    "log": "The log for programs: a JSON object for each call, one a line.",
    "chat": "The keys and colours of arawn chat.",
    "sessions": "Which conversations are saved, and for how long.",
    "env": "A file that environment variables are read from as well.",
}

KEYS = (
    Key("llm.backend", "string", "The backend that answers, by the name of its table.", "groq", project=True),
    Key(
        "llm.model",
        "string",
        "The model: an id of that backend. Without a backend also a tier, an alias or backend/model.",
        "openai/gpt-oss-120b",
        project=True,
    ),
    Key("llm.system", "string", "The system prompt.", "Answer briefly.", project=True),
    Key(
        "llm.temperature",
        "number",
        "Sampling temperature: 0 for the likeliest words; left out, the provider's default.",
        0.7,
        minimum=0,
        maximum=2,
        project=True,
    ),
    Key("llm.max_tokens", "integer", "The most tokens of an answer.", 4096, minimum=1, project=True),
    Key("llm.effort", "string", "How much to reason before the answer.", "low", choices=EFFORTS, project=True),
    Key(
        "llm.fallback",
        "strings",
        "Backends to try in this order when that one fails: names, tiers, aliases or backend/model.",
        ["groq", "ollama"],
        project=True,
    ),
    Key("llm.timeout", "number", "Overrides timeout of whichever backend answers.", 120, above=0),
    Key("memory.indexing.backend", "string", "The backend for background work.", "anthropic", project=True),
    Key("memory.indexing.model", "string", "Its model.", "claude-haiku-5-5", project=True),
    Key("embeddings.backend", "string", "The backend that makes vectors.", "openai", project=True),
    Key("embeddings.model", "string", "The embedding model.", "text-embedding-3-small", project=True),
    Key(
        "embeddings.dimensions",
        "integer",
        "The number of dimensions to ask for, where the model can shorten its vectors.",
        512,
        minimum=1,
        project=True,
    ),
    Key("embeddings.NAME.api_key", "reference", "The key, where it is not the backend's.", "$env:OPENAI_API_KEY"),
    Key("embeddings.NAME.model", "string", "Its embedding model.", "text-embedding-3-small"),
    Key("embeddings.NAME.base_url", "url", "The address, where it is not the backend's.", "https://api.openai.com/v1"),
    Key(
        "backends.NAME.adapter",
        "string",
        "The protocol it speaks; a backend that is not built in needs one.",
        "openai_chat",
        choices=ADAPTERS,
    ),
    Key("backends.NAME.label", "string", "Its name in messages; left out, NAME.", "My server"),
    Key(
        "backends.NAME.base_url",
        "url",
        "The address the service documents: with /v1 for OpenAI's APIs, without for Anthropic and Ollama.",
        "https://llm.example.com/v1",
    ),
    Key(
        "backends.NAME.api_key",
        "reference",
        "Where the key is: $env:VARIABLE, $keyring:NAME or $file:PATH.",
        "$keyring:my-server",
    ),
    Key("backends.NAME.model", "string", "The model it uses when none is named.", "llama-3.3-70b"),
    Key("backends.NAME.max_tokens", "integer", "The most tokens of an answer.", 4096, minimum=1),
    Key("backends.NAME.temperature", "number", "Sampling temperature.", 0.7, minimum=0, maximum=2),
    Key(
        "backends.NAME.timeout",
        "number",
        "Seconds without an event, before the first or between two, after which a call has failed.",
        120,
        default=60.0,
        above=0,
    ),
    Key("backends.NAME.connect_timeout", "number", "Seconds to connect.", 5, default=10.0, above=0),
    Key(
        "backends.NAME.first_event_timeout",
        "number",
        "Seconds until the first event, where that takes longer than timeout: a local server loads its model.",
        300,
        above=0,
    ),
    Key("backends.NAME.total_timeout", "number", "Seconds for the whole call; left out, no limit.", 600, above=0),
    Key(
        "backends.NAME.max_retries",
        "integer",
        "How many times a call is retried that failed before its answer began.",
        0,
        default=3,
        minimum=0,
        maximum=10,
    ),
    Key(
        "backends.NAME.retry_ambiguous",
        "boolean",
        "Retry also after a timeout, where the first call may have been answered, and billed.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.hourly_rate",
        "number",
        "Cost of your own server while it answers, in USD an hour; used where no price per token is known.",
        0.16,
        minimum=0,
    ),
    Key("backends.NAME.rpm", "integer", "Requests a minute, of all processes on this machine.", 50, minimum=1),
    Key("backends.NAME.tpm", "integer", "Tokens a minute, of all processes on this machine.", 40_000, minimum=1),
    Key("backends.NAME.concurrent", "integer", "Calls at the same time, of all processes.", 4, minimum=1),
    Key("backends.NAME.health_path", "path", "The path of the health check; left out, the list of models.", "/key"),
    Key("backends.NAME.extra", "table", "Keys added to the body of every request.", {"seed": 7}),
    Key("backends.NAME.headers", "map", "Headers added to every request.", {"x-team": "research"}),
    Key("backends.NAME.query", "map", "Query parameters added to every address.", {"api-version": "2024-10-21"}),
    Key(
        "backends.NAME.auth_header",
        "header",
        "The header that carries the key.",
        "api-key",
        default="authorization",
    ),
    Key("backends.NAME.auth_prefix", "string", "The text before the key in that header.", "", default="Bearer "),
    Key(
        "backends.NAME.ca_bundle",
        "file",
        "A PEM file with certificate authorities to trust in addition.",
        "/etc/ssl/corp.pem",
    ),
    Key(
        "backends.NAME.insecure_tls",
        "boolean",
        "Do not verify the server's certificate; every run warns of it.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.allow_http",
        "boolean",
        "Send the key over plain http to another machine.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.proxy",
        "proxy",
        "The proxy to go through, instead of the environment's.",
        "http://proxy.example.com:3128",
    ),
    Key("backends.NAME.chat_path", "path", "The path of a chat call; {model} is filled in.", "/chat/completions"),
    Key("backends.NAME.models_path", "path", "The path of the list of models.", "/models"),
    Key("backends.NAME.embeddings_path", "path", "The path of an embedding call.", "/embeddings"),
    Key(
        "backends.NAME.max_tokens_key",
        "string",
        "The service's name for the limit of an answer.",
        "max_completion_tokens",
    ),
    Key(
        "backends.NAME.default_max_tokens",
        "integer",
        "The limit sent when none is set, where the service wants a number.",
        8192,
        minimum=1,
    ),
    Key("backends.NAME.system_role", "string", "The role of the system prompt.", "developer"),
    Key(
        "backends.NAME.stream_usage",
        "boolean",
        "Ask for token counts in a stream; false where the service refuses the question.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.effort_key",
        "string",
        'Where the effort goes: "reasoning_effort", or "reasoning" for an object.',
        "reasoning_effort",
    ),
    Key(
        "backends.NAME.json_schema",
        "boolean",
        "Whether the service takes a JSON Schema for its answer, not only the word JSON.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.sampling",
        "boolean",
        "Whether the service takes temperature and top_p.",
        False,
        default=True,
    ),
    Key(
        "backends.NAME.adaptive_thinking",
        "boolean",
        "Whether thinking is set by an effort level, not by a number of tokens.",
        True,
        default=False,
    ),
    Key(
        "backends.NAME.output_includes_reasoning",
        "boolean",
        "Whether the count of output tokens includes the reasoning.",
        False,
        default=True,
    ),
    Key("backends.NAME.mode", "string", "Mock: answer with the user's last message.", "echo", choices=("echo",)),
    Key("backends.NAME.replies.[].text", "string", "The answer.", "Hello!"),
    Key("backends.NAME.replies.[].reasoning", "string", "Reasoning text, sent before the answer.", "A greeting."),
    Key(
        "backends.NAME.replies.[].tool_call",
        "table",
        "A tool call instead of a text.",
        {"name": "search", "arguments": {"q": "tea"}},
    ),
    Key("backends.NAME.replies.[].error", "string", "Fail instead.", "rate_limit", choices=MOCK_ERRORS),
    Key(
        "backends.NAME.replies.[].finish_reason",
        "string",
        "The finish reason.",
        "length",
        choices=FINISH_REASONS,
    ),
    Key("backends.NAME.replies.[].match", "string", "A pattern: only for messages in which it is found.", "hello"),
    Key("backends.NAME.replies.[].latency_ms", "number", "Milliseconds before the answer.", 200, minimum=0),
    Key("backends.NAME.replies.[].tokens_per_second", "number", "Words a second; 0 sends them at once.", 50, minimum=0),
    Key(
        "tiers.NAME", "string", "A size, and the model that -m uses for it.", "anthropic/claude-haiku-5-5", project=True
    ),
    Key("aliases.NAME", "string", "A name and the model it means.", "groq/openai/gpt-oss-120b", project=True),
    Key("models.NAME.input_price", "number", "USD per million input tokens.", 3.0, minimum=0),
    Key("models.NAME.output_price", "number", "USD per million output tokens.", 15.0, minimum=0),
    Key("models.NAME.cache_read_price", "number", "USD per million tokens read from the cache.", 0.3, minimum=0),
    Key("models.NAME.cache_write_price", "number", "USD per million tokens written to the cache.", 3.75, minimum=0),
    Key("models.NAME.context_window", "integer", "Tokens the model can see.", 200_000, minimum=1),
    Key("models.NAME.max_output", "integer", "Tokens it can answer with.", 64_000, minimum=1),
    Key("budget.limit", "number", "USD that may be spent, at all backends together.", 20.0, minimum=0),
    Key("budget.period", "string", "In which time.", "day", default="month", choices=PERIODS),
    Key(
        "budget.unpriced",
        "string",
        "Whether calls whose price is not known are refused or allowed while there is a limit.",
        "allow",
        default="refuse",
        choices=("refuse", "allow"),
    ),
    Key("budget.backends.NAME.limit", "number", "USD that may be spent there.", 5.0, minimum=0),
    Key("budget.backends.NAME.period", "string", "In which time.", "day", default="month", choices=PERIODS),
    Key("cache.enabled", "boolean", "Use cached responses, and cache new ones.", True, default=False),
    Key("cache.ttl", "number", "Seconds until a cached response expires.", 3600, default=86_400.0, above=0),
    Key(
        "cache.max_mb",
        "number",
        "The most megabytes of cached responses; the least recently used are removed first.",
        500,
        default=100.0,
        above=0,
    ),
    Key(
        "health.slow_ms", "number", "Milliseconds above which a healthy backend is slow.", 500, default=2000.0, above=0
    ),
    Key("log.file", "file", "The file to append to, relative to this one; left out, there is no log.", "arawn.log"),
    Key("log.content", "boolean", "Also log the messages and answers.", True, default=False),
    Key(
        "log.otel",
        "boolean",
        "Also send spans and metrics to OpenTelemetry; needs the extra otel.",
        True,
        default=False,
    ),
    Key(
        "chat.editing_mode",
        "string",
        "The keys of the prompt.",
        "vi",
        default="emacs",
        choices=("emacs", "vi"),
    ),
    Key(
        "chat.theme",
        "string",
        "The colours of answers: of the terminal itself, or for a light or dark background.",
        "dark",
        default="default",
        choices=("default", "light", "dark"),
    ),
    Key(
        "chat.overflow",
        "string",
        "What happens to the oldest turns when a conversation exceeds the context window.",
        "drop",
        default="summary",
        choices=("summary", "drop", "error"),
    ),
    Key(
        "sessions.save",
        "boolean",
        "Save each question of ask with its answer; false saves none.",
        False,
        default=True,
    ),
    Key(
        "sessions.keep_days",
        "integer",
        "Days without use after which `arawn sessions purge` deletes sessions without a name; left out, never.",
        90,
        minimum=1,
    ),
    Key("env.file", "file", "A file of KEY=value lines, relative to this one.", ".env"),
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
