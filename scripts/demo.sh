#!/bin/sh
# What `make demo` shows: a tour on the mock backend of demo.toml. The argument is the folder that has `arawn` in it.
set -eu
root="$(cd "$(dirname "$0")/.." && pwd)"
PATH="$(cd "$1" && pwd):$PATH"
ARAWN_CONFIG="$root/demo.toml"
ARAWN_HOME="$(mktemp -d)" # nothing of the tour stays, and nothing of yours is read
export PATH ARAWN_CONFIG ARAWN_HOME
unset LLM_BACKEND LLM_MODEL LLM_API_BASE LLM_TIMEOUT_SECONDS BUDGET_LIMIT
trap 'rm -rf "$ARAWN_HOME"' EXIT
cd "$ARAWN_HOME"

show() { # what it is about, then the command, which is shown and run
  printf '\n# %s\n$ %s\n' "$1" "$2"
  eval "$2"
}

show 'An answer, as it streams' 'arawn ask "What are you?"'
show 'In scripts: only the code of an answer' 'arawn ask -x "A one-liner that counts lines of Python" > count.sh; cat count.sh'
show 'Everything about an answer, as JSON' 'arawn ask --json "The capital of France, in one word"'
show 'What each call took, and what it cost (these prices are invented)' 'arawn usage --by model'
show 'A mistake says what to do' 'arawn -b gorq ask "hi" || echo "exit $?"'
cat <<'TEXT'

# With a real model
Set a key or start a server, and ask:
  export ANTHROPIC_API_KEY=...           .venv/bin/arawn ask "hello"
  .venv/bin/arawn secrets set groq       .venv/bin/arawn -b groq ask "hello"
  ollama serve                           .venv/bin/arawn -b ollama -m qwen3:8b ask "hello"
Which backends there are, and which of them answer:  .venv/bin/arawn backends
TEXT
