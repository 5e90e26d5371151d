"""Citations of any protocol: the sources of one answer, numbered from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arawn.messages import Citation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_TITLES = ("title", "document_title", "filename", "name")
_TEXTS = ("cited_text", "content", "snippet", "quote")
_ADDRESSES = ("url", "uri", "source")
_IDENTITIES = ("file_id", "document_index", "search_result_index")


class CitationCollector:
    """Yields each citation once. A source named again, by its address or else its title, keeps its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._yielded: set[Citation] = set()

    def take(self, sources: Iterable[Any]) -> Iterator[Citation]:
        """Yield what is new: sources are addresses, objects with a title and an address, or such within another."""
        for source in sources:
            citation = self._citation(source)
            if citation is not None and citation not in self._yielded:
                self._yielded.add(citation)
                yield citation

    def _citation(self, source: Any) -> Citation | None:
        if type(source) is str:
            source = {"url": source}
        if type(source) is not dict:
            return None
        if type(nested := source.get("url_citation")) is dict:
            source = nested
        title, text = _first_text(source, _TITLES), _first_text(source, _TEXTS)
        url = _web_address(source)
        name = url or title or next((str(source[key]) for key in _IDENTITIES if source.get(key) is not None), "")
        if not name:
            return None
        return Citation(self._numbers.setdefault(name, len(self._numbers) + 1), title, url, text)


def listed_sources(answer: Mapping[str, Any]) -> list[Any]:
    """Return the sources that stand beside an answer, whose text names them by their place in the list.

    Perplexity and xAI send addresses as ``citations``, Perplexity their titles as ``search_results`` as well
    (docs.perplexity.ai, "Chat Completions"; docs.x.ai, "Live Search").
    """
    addresses, results = answer.get("citations"), answer.get("search_results")
    known = [result for result in results if type(result) is dict] if type(results) is list else []
    if type(addresses) is not list or not addresses:
        return known
    by_address = {result.get("url"): result for result in known if type(result.get("url")) is str}
    return [by_address.get(each, each) if type(each) is str else each for each in addresses]


def _web_address(source: Mapping[str, Any]) -> str:
    """Return the address, if it is one of the web: others (``javascript:``) are dangerous to open."""
    found = _first_text(source, _ADDRESSES)
    return found if found.lower().startswith(("https://", "http://")) else ""


def _first_text(source: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((value for key in keys if type(value := source.get(key)) is str and value), "")
