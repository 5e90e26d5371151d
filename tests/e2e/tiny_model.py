"""A language model small enough to be written by hand, as a GGUF file a real Ollama runs.

It has one layer whose attention and feed-forward weights are zero, so that the next token depends on the last one
alone: a table of successors. Asked anything, it says ``SENTENCE`` and ends.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The keys and tensors are those it names for the
architecture "llama" and the tokenizer "llama".
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ASKED = "<asked>"
"""The token a prompt must end with."""
_WORDS = ("Hello", "▁from", "▁a", "▁very", "▁small", "▁model", ".")
SENTENCE = "".join(_WORDS).replace("▁", " ")
TEMPLATE = "{{ .System }}{{ .Prompt }}" + ASKED

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_SPECIAL = (("<unk>", _UNKNOWN), ("<s>", _CONTROL), ("</s>", _CONTROL), (ASKED, _CONTROL))
_BYTES = tuple((f"<0x{byte:02X}>", _BYTE) for byte in range(256))
_TOKENS = (*_SPECIAL, *_BYTES, *((word, _NORMAL) for word in _WORDS))
_SAID_IN_TURN = (ASKED, *_WORDS, "</s>")
_WIDTH = -(-len(_TOKENS) // 32) * 32
_HEADS = 4
_INNER = 32
_ALIGNMENT = 32


def write_tiny_model(path: Path) -> None:
    """Write the model: header, keys, table of tensors, and their numbers, each aligned."""
    table, numbers = b"", b""
    tensors = _tensors()
    for name, (shape, values) in tensors.items():
        table += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(numbers))
        numbers += _padded(values)
    keys = _keys()
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    described = b"".join(_string(key) + _typed(value) for key, value in keys.items())
    path.write_bytes(_padded(header + described + table) + numbers)


def _keys() -> dict[str, Any]:
    names = [token for token, _ in _TOKENS]
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": 0,
        "llama.context_length": 2048,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _INNER,
        "llama.attention.head_count": _HEADS,
        "llama.attention.head_count_kv": _HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(_TOKENS),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.scores": [0.0] * len(_TOKENS),
        "tokenizer.ggml.token_type": [kind for _, kind in _TOKENS],
        "tokenizer.ggml.unknown_token_id": names.index("<unk>"),
        "tokenizer.ggml.bos_token_id": names.index("<s>"),
        "tokenizer.ggml.eos_token_id": names.index("</s>"),
    }


def _tensors() -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Return shape (the row's length first) and numbers of each: a token is a direction of its own."""
    ids = {token: number for number, (token, _) in enumerate(_TOKENS)}
    successors = {ids[after]: ids[before] for before, after in pairwise(_SAID_IN_TURN)}
    even = struct.pack(f"<{_WIDTH}f", *[1.0] * _WIDTH)
    square, wide = (_WIDTH, _WIDTH), (_WIDTH, _INNER)
    layer = {
        "attn_norm": ((_WIDTH,), even),
        **{f"attn_{part}": (square, _zeros(square)) for part in ("q", "k", "v", "output")},
        "ffn_norm": ((_WIDTH,), even),
        "ffn_gate": (wide, _zeros(wide)),
        "ffn_up": (wide, _zeros(wide)),
        "ffn_down": (wide[::-1], _zeros(wide)),
    }
    return {
        "token_embd.weight": ((_WIDTH, len(_TOKENS)), b"".join(map(_direction, range(len(_TOKENS))))),
        **{f"blk.0.{name}.weight": tensor for name, tensor in layer.items()},
        "output_norm.weight": ((_WIDTH,), even),
        "output.weight": ((_WIDTH, len(_TOKENS)), b"".join(_direction(successors.get(n)) for n in range(len(_TOKENS)))),
    }


def _direction(place: int | None) -> bytes:
    return struct.pack(f"<{_WIDTH}f", *(float(n == place) for n in range(_WIDTH)))


def _zeros(shape: tuple[int, int]) -> bytes:
    return bytes(4 * shape[0] * shape[1])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    """Write a value after the number of its type: text, float, unsigned; in lists integers are signed."""
    match value:
        case str():
            return struct.pack("<I", 8) + _string(value)
        case float():
            return struct.pack("<If", 6, value)
        case int():
            return struct.pack("<II", 4, value)
        case [str(), *_]:
            return _list(8, b"".join(map(_string, value)), value)
        case [float(), *_]:
            return _list(6, struct.pack(f"<{len(value)}f", *value), value)
        case _:
            return _list(5, struct.pack(f"<{len(value)}i", *value), value)


def _list(kind: int, written: bytes, value: list[Any]) -> bytes:
    return struct.pack("<IIQ", 9, kind, len(value)) + written
