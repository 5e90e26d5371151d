"""The keys of a ``[models."ID"]`` table: the facts about a model that a user may set himself."""

from __future__ import annotations

from arawn.config.key import Key

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

MODEL_KEYS = (
    Key("models.NAME.input_price", "number", "USD per million input tokens.", 3.0, minimum=0),
    Key("models.NAME.output_price", "number", "USD per million output tokens.", 15.0, minimum=0),
    Key("models.NAME.cache_read_price", "number", "USD per million tokens read from the cache.", 0.3, minimum=0),
    Key("models.NAME.cache_write_price", "number", "USD per million tokens written to the cache.", 3.75, minimum=0),
    Key(
        "models.NAME.cache_write_1h_price",
        "number",
        "USD per million tokens written to a cache that keeps them for an hour.",
        6.0,
        minimum=0,
    ),
    Key("models.NAME.context_window", "integer", "The context window, in tokens.", 200_000, minimum=1),
    Key("models.NAME.max_input", "integer", "The maximum input, in tokens, where it is less.", 136_000, minimum=1),
    Key("models.NAME.max_output", "integer", "The maximum output, in tokens.", 64_000, minimum=1),
    Key(
        "models.NAME.api",
        "string",
        "The endpoint the model wants, where its service has both of OpenAI's.",
        "responses",
        choices=("chat", "responses"),
    ),
    Key(
        "models.NAME.tools_need_no_effort",
        "boolean",
        'Whether Chat Completions takes tools only beside the effort "none".',
        True,
    ),
    Key(
        "models.NAME.efforts",
        "strings",
        "The effort words the model takes, in rising order; none if empty.",
        ["low", "high"],
        choices=EFFORTS,
    ),
    Key(
        "models.NAME.efforts_chat",
        "strings",
        "The effort words it takes on Chat Completions, where they are fewer.",
        ["low", "high"],
        choices=EFFORTS,
    ),
    Key(
        "models.NAME.effort_path",
        "string",
        "The dotted keys of the effort in the body, where that is not the place of its protocol.",
        "thinking.level",
    ),
    Key("models.NAME.always_thinks", "boolean", "Whether thinking cannot be switched off.", True),
    Key("models.NAME.thinks_by_default", "boolean", "Whether it thinks where a request does not say.", True),
    Key(
        "models.NAME.thinking_on",
        "table",
        "Fields added to the body to switch thinking on.",
        {"thinking": {"type": "enabled"}},
    ),
    Key(
        "models.NAME.thinking_off",
        "table",
        "Fields added to the body to switch thinking off; none if empty.",
        {"thinking": {"type": "disabled"}},
    ),
    Key(
        "models.NAME.thinking_shown",
        "table",
        "Fields added to the body to get the text of thinking.",
        {"reasoning_format": "parsed"},
    ),
    Key(
        "models.NAME.off_max_effort",
        "string",
        "The highest effort beside thinking that is switched off.",
        "high",
        choices=EFFORTS,
    ),
    Key("models.NAME.thinking_budget", "boolean", "Whether thinking takes a number of tokens.", True),
    Key(
        "models.NAME.thinking_back",
        "string",
        "The key of Chat Completions under which the text of thinking must be sent back with tool calls.",
        "reasoning_content",
    ),
    Key(
        "models.NAME.foreign_call",
        "table",
        "Fields of Chat Completions for the first tool call of a message that another backend made.",
        {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}},
    ),
    Key("models.NAME.refused", "strings", "Parameters that are never sent.", ["temperature", "seed"]),
    Key(
        "models.NAME.refused_while_thinking",
        "strings",
        "Parameters that are not sent while it thinks.",
        ["temperature"],
    ),
    Key("models.NAME.one_of", "strings", "Parameters of which only the first is sent.", ["temperature", "top_p"]),
    Key(
        "models.NAME.forced_tool",
        "string",
        "When a tool choice may be forced.",
        "not_while_thinking",
        choices=("always", "not_while_thinking", "never"),
    ),
    Key("models.NAME.schema", "string", "The JSON Schema dialect of structured output.", "openai-strict"),
    Key(
        "models.NAME.cache",
        "string",
        "How prefixes are cached: by the service alone, or where a request marks them.",
        "marker",
        choices=("automatic", "marker"),
    ),
    Key("models.NAME.cache_min_tokens", "integer", "The shortest prefix that is cached, in tokens.", 1024, minimum=0),
    Key("models.NAME.binds_prefix", "boolean", "Whether signed thinking is checked against what came before it.", True),
    Key("models.NAME.binds_model", "boolean", "Whether other models refuse its signed thinking.", True),
)
