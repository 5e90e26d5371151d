"""Backends behind HTTP: an adapter's calls go to an endpoint; the answers become events, vectors and models."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from arawn.adapters.failures import not_the_protocol
from arawn.backends.usage_estimate import UsageEstimate
from arawn.errors import BackendTimeoutError, ProtocolError, StreamInterruptedError
from arawn.events import Finished
from arawn.values import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from arawn.adapters.base import Adapter, EmbeddingAdapter, HttpCall, StreamParser
    from arawn.errors import ArawnError
    from arawn.events import Events, Notice, StreamEvent
    from arawn.messages import ChatRequest, Embeddings, ModelCard
    from arawn.network.deadlines import Deadlines
    from arawn.network.endpoint import Endpoint
    from arawn.network.exchange import Reply

_STREAMED = ("text/event-stream", "application/x-ndjson", "application/jsonl")
_WHOLE = ("application/json",)
_PAGE = "text/html"
_SSE_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_PEEKED = 16
_FAILURE_READ = 64 << 10
_SHOWN = 2048


class HttpBackend:
    """A Backend and ModelLister. Interrupted answers are raised without ``partial``: the caller has gathered it."""

    def __init__(self, endpoint: Endpoint, adapter: Adapter) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._adapter = adapter

    async def stream(self, request: ChatRequest) -> Events:
        """Ask, and yield the events of the answer, whether the server streams it or not."""
        call = self._adapter.render_chat(request)
        for notice in call.notices:
            yield notice
        deadlines = self._endpoint.deadlines()
        reply = await self._endpoint.send(call, deadlines)
        try:
            await _accept(reply, self._adapter, self._endpoint, request.model)
            estimate = UsageEstimate(request)
            async with aclosing(self._answer(call, reply, deadlines)) as events:
                async for event in events:
                    yield estimate.complete(event)
        finally:
            await reply.aclose()

    async def models(self) -> Sequence[ModelCard]:
        """Ask for the models of this endpoint."""
        return self._adapter.parse_models(await _fetch(self._endpoint, self._adapter, self._adapter.render_models()))

    def describe(self, request: ChatRequest, *, keyed: bool = True) -> tuple[str, tuple[Notice, ...]]:
        """Return what would be sent for a request, without its key, and what of the request would not."""
        call = self._adapter.render_chat(request)
        return self._endpoint.describe(call, keyed=keyed), call.notices

    def _answer(self, call: HttpCall, reply: Reply, deadlines: Deadlines) -> Events:
        kind = reply.content_type
        if kind in _STREAMED or (not kind and call.stream):
            return _Streamed(reply, deadlines, self._adapter.stream_parser()).events()
        return self._unlabelled(reply, deadlines)

    async def _unlabelled(self, reply: Reply, deadlines: Deadlines) -> Events:
        """Read an answer whose type names no stream: some servers give theirs another, or the one of JSON."""
        beginning = await reply.peek(_PEEKED)
        if beginning.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").startswith(_SSE_FIELDS):
            async with aclosing(_Streamed(reply, deadlines, self._adapter.stream_parser()).events()) as events:
                async for event in events:
                    yield event
            return
        body = await _json_of(reply)
        for event in self._adapter.parse_chat(body):
            yield event

    async def probe(self, path: str) -> None:
        """Ask for a path, which may have a query, with the key. Any success will do, but for a web page."""
        from urllib.parse import parse_qsl

        call = self._adapter.render_models()
        path, _, query = path.partition("?")
        call = replace(call, path=path, query={**call.query, **dict(parse_qsl(query))})
        reply = await self._endpoint.send(call, self._endpoint.deadlines())
        try:
            await _accept(reply, self._adapter, self._endpoint, "")
            if reply.content_type == _PAGE:
                raise _foreign(reply, await reply.beginning(_SHOWN))
            await reply.read()
        finally:
            await reply.aclose()


class HttpEmbedder:
    """An Embedder for one model; ``dimensions`` asks for shorter vectors where the model can."""

    def __init__(
        self, endpoint: Endpoint, adapter: EmbeddingAdapter, *, model: str, dimensions: int | None = None
    ) -> None:
        self._endpoint = endpoint
        self._adapter = adapter
        self._model = model
        self._dimensions = dimensions

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of the texts, asked for in one call. Raises ProtocolError where one is missing."""
        call = self._adapter.render_embed(self._model, texts, self._dimensions)
        embeddings = self._adapter.parse_embed(await _fetch(self._endpoint, self._adapter, call, self._model))
        if len(embeddings.vectors) != len(texts):
            raise ProtocolError(
                f'Backend "{self._endpoint.name}" answered {len(texts)} texts with {len(embeddings.vectors)} vectors',
                backend=self._endpoint.name,
            )
        return embeddings


async def _fetch(endpoint: Endpoint, adapter: Adapter | EmbeddingAdapter, call: HttpCall, model: str = "") -> bytes:
    reply = await endpoint.send(call, endpoint.deadlines())
    try:
        await _accept(reply, adapter, endpoint, model)
        return await _json_of(reply)
    finally:
        await reply.aclose()


async def _accept(reply: Reply, adapter: Adapter | EmbeddingAdapter, endpoint: Endpoint, model: str) -> None:
    """Raise the error an answer stands for that is no success; redirects are among them."""
    if 200 <= reply.status < 300:
        return
    headers: Mapping[str, str] = reply.headers
    if "date" not in headers:
        from email.utils import formatdate

        headers = {**headers, "date": formatdate(endpoint.now(), usegmt=True)}
    raise adapter.parse_failure(reply.status, headers, await reply.beginning(_FAILURE_READ), model)


async def _json_of(reply: Reply) -> bytes:
    """Return a body that may be JSON. Raises ProtocolError, with what came instead, for one that cannot be."""
    if reply.content_type and reply.content_type not in _WHOLE:
        raise _foreign(reply, await reply.beginning(_SHOWN))
    body = await reply.read()
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        raise _foreign(reply, body[:_SHOWN])
    return body


def _foreign(reply: Reply, body: bytes) -> ArawnError:
    return not_the_protocol(reply.status, reply.headers.get("content-type", ""), body, backend=reply.peer.backend)


class _Streamed:
    """One streamed answer on its way from bytes to events."""

    def __init__(self, reply: Reply, deadlines: Deadlines, parser: StreamParser) -> None:
        self._reply = reply
        self._deadlines = deadlines
        self._parser = parser
        self._before_events = b""  # what came in their place, to show it
        self._begun = False
        self._finished = False
        self._cut: StreamInterruptedError | None = None

    async def events(self) -> Events:
        with self._any_end_of_bytes():
            async with aclosing(self._reply.chunks()) as chunks:
                async for chunk in chunks:
                    if self._finished:
                        continue  # to the end of the body: then the connection can be used again
                    event = None
                    for event in self._parser.feed(chunk):
                        yield event
                    self._note(chunk, event)
        if not self._finished:
            for event in self._closing():
                yield event

    @contextmanager
    def _any_end_of_bytes(self) -> Iterator[None]:
        """Leave the judgement of a cut to the parser; after its Finished nothing can go wrong any more."""
        try:
            yield
        except StreamInterruptedError as error:
            self._cut = error
        except BackendTimeoutError:
            if not self._finished:
                raise

    def _note(self, chunk: bytes, last: StreamEvent | None) -> None:
        """Set the deadlines by what a chunk brought; its events have been read by now, however long that took."""
        if type(last) is Finished:
            self._finished = True
            self._deadlines.finished()
        elif last is not None:
            self._begun = True
            self._deadlines.event()
        elif not self._begun:
            self._before_events = (self._before_events + chunk)[:_SHOWN]

    def _closing(self) -> Iterator[StreamEvent]:
        """Yield what only the end of the bytes makes clear. Raises, whatever the parser thinks, without a Finished."""
        event = None
        try:
            for event in self._parser.close():
                yield event
        except StreamInterruptedError as error:
            raise self._explained(error) from None
        if type(event) is not Finished:
            backend = self._reply.peer.backend
            raise self._cut or StreamInterruptedError(f'Backend "{backend}" broke off its answer', backend=backend)

    def _explained(self, error: StreamInterruptedError) -> ArawnError:
        if self._cut is not None:
            error.hints = (*self._cut.hints, *error.hints)
        elif not self._begun and self._is_something_else():
            return _foreign(self._reply, self._before_events)
        return error

    def _is_something_else(self) -> bool:
        """Say whether what came is no stream: no content type says so, or it looks like HTML or JSON instead."""
        kind = self._reply.content_type
        return not kind or (kind == _STREAMED[0] and self._before_events.lstrip()[:1] in (b"<", b"{", b"["))
