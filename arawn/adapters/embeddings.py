"""Embeddings: OpenAI's protocol, and Ollama's own.

Both check that the vectors are finite numbers and of one length. That there is one per text is the caller's check: an
answer does not say how many texts it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.adapters.base import path_for
from arawn.adapters.http_adapter import HttpAdapter
from arawn.adapters.openai.usage import parse_usage
from arawn.adapters.payload import count_of, malformed, objects_of, parse_body, text_of
from arawn.messages import Embeddings, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arawn.adapters.base import HttpCall

_MAX_COMPONENT = 1e38
"""Numbers of a vector are smaller, as about what a 32-bit float holds."""
_WIDENED_BITS = 0x1FFFFFFF
"""The bits of a 64-bit float that are zero when it was made from a 32-bit one."""


class OpenAIEmbeddings(HttpAdapter):
    """Speaks ``/embeddings`` (OpenAI API reference, "Embeddings")."""

    _path = "/embeddings"
    _options: Mapping[str, str] = {"encoding_format": "float"}  # what base64 holds differs between servers

    def render_embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> HttpCall:
        """Describe the call; ``dimensions`` requests shorter vectors from models that support it."""
        path = path_for(self._quirks.embeddings_path or self._path, model)
        size = {} if dimensions is None else {"dimensions": dimensions}
        body = {"model": model, "input": list(texts), **self._options, **size} | dict(self._quirks.extra)
        return self._post(path, body)

    def parse_embed(self, body: bytes) -> Embeddings:
        """Parse the vectors, in the order of the texts."""
        try:
            answer = parse_body(body)
            if answer.get("error"):
                raise self.parse_failure(200, {}, body, "")
            vectors = self._vectors(answer)
            if len({len(vector) for vector in vectors}) > 1:
                raise ValueError("the vectors differ in length")
            return Embeddings(vectors, text_of(answer, "model"), self._usage(answer) or Usage(estimated=True))
        except ValueError as error:
            raise malformed(error, backend=self._backend) from None

    def _vectors(self, answer: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
        """Return the vectors in the order of their index; one without an index has that of its place."""
        rows = objects_of(answer, "data")
        if not rows:
            raise ValueError('there is no "data"')
        by_index = {count_of({"index": place} | row, "index"): row.get("embedding") for place, row in enumerate(rows)}
        if set(by_index) != set(range(len(rows))):
            raise ValueError("the vectors are not numbered one by one")
        return tuple(_vector(by_index[index]) for index in range(len(rows)))

    def _usage(self, answer: dict[str, Any]) -> Usage | None:
        return parse_usage(answer.get("usage"))


class OllamaEmbeddings(OpenAIEmbeddings):
    """Speaks ``/api/embed`` (Ollama documentation, "Generate embeddings"): the same request, another response."""

    _path = "/api/embed"
    _options: Mapping[str, str] = {}

    def _vectors(self, answer: dict[str, Any]) -> tuple[tuple[float, ...], ...]:
        rows = answer.get("embeddings")
        if not isinstance(rows, list) or not rows:
            raise ValueError('there are no "embeddings"')
        return tuple(_vector(row) for row in rows)

    def _usage(self, answer: dict[str, Any]) -> Usage | None:
        tokens = count_of(answer, "prompt_eval_count")
        return Usage(tokens) if tokens else None


def _vector(value: Any) -> tuple[float, ...]:
    """Return the numbers of a list, or of base64 text."""
    numbers = _unpack(value) if isinstance(value, str) else value
    if not isinstance(numbers, list | tuple) or not numbers:
        raise ValueError("a vector is missing or empty")
    if not all(type(number) in {int, float} and abs(number) < _MAX_COMPONENT for number in numbers):
        raise ValueError("a vector holds something that is no finite number")
    return tuple(map(float, numbers))


def _unpack(text: str) -> tuple[float, ...]:
    """Unpack little-endian floats: of 32 bits, or of 64 as older vLLM servers send them.

    The latter are 32-bit floats made wider, so the lower bits of each are zero, which no real vector's are.
    """
    from base64 import b64decode
    from struct import unpack

    data = b64decode(text, validate=True)
    if not data or len(data) % 4:
        raise ValueError("a vector is no list of floats")
    lower = unpack(f"<{len(data) // 4}I", data)[::2]
    if len(data) % 8 == 0 and any(data) and not any(word & _WIDENED_BITS for word in lower):
        return unpack(f"<{len(data) // 8}d", data)
    return unpack(f"<{len(data) // 4}f", data)
