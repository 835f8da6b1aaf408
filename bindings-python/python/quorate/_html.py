"""How do results look in a notebook? Plain tables that follow the notebook's own colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._context import Context
    from ._hits import Hits
    from ._record import Explanation
    from ._report import Report

_LONGEST = 300
_MOST_ROWS = 20
_LEFT = "text-align:left;vertical-align:top"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; cells are HTML already."""
    head = "".join(f'<th style="{_LEFT}">{escape(name)}</th>' for name in headers)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_LEFT}">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    title = f'<caption style="{_LEFT}">{escape(caption)}</caption>' if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cell(value: Any) -> str:
    """A value as the HTML of a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        shown = "<br>".join(f"<i>{escape(str(name))}</i>: {cell(member)}" for name, member in list(value.items())[:12])
        return shown + ("<br>..." if len(value) > 12 else "")
    if isinstance(value, (list, tuple)):
        shown = "<br>" if any(isinstance(member, (Mapping, list, tuple)) for member in value) else ", "
        cells = [cell(member) for member in value[:12]]
        return shown.join(cells) + (f"{shown}... ({len(value)})" if len(value) > 12 else "")
    return text(str(value))


def text(value: str) -> str:
    """A text, shortened."""
    return escape(value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...")


def hits(found: Hits) -> str:
    """The hits of a query."""
    rows = [
        (
            str(rank),
            f"{hit.score:.4f}",
            f"<b>{escape(hit.title)}</b><br>" * bool(hit.title) + f"<code>{escape(hit.doc_id)}</code>",
            text(hit.text),
            cell(hit.metadata),
        )
        for rank, hit in enumerate(found[:_MOST_ROWS], 1)
    ]
    more = f" (the first {_MOST_ROWS})" if len(found) > _MOST_ROWS else ""
    of = f" for '{found.query}'" if found.query else ""
    return table(("", "score", "document", "text", "metadata"), rows, f"{len(found)} hits{of}{more}")


def hit(one: Any) -> str:
    """One hit."""
    return fields(
        {
            "score": one.score, "document": one.doc_id, "title": one.title, "text": one.text, "source": one.source,
            "where": f"{one.start} to {one.end}", "metadata": one.metadata,
        }
    )


def fields(members: Mapping[str, Any], caption: str = "") -> str:
    """Names and values, without those that are empty."""
    rows = [(f"<b>{escape(name)}</b>", cell(value)) for name, value in members.items() if not _empty(value)]
    return table(("", ""), rows, caption)


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, Mapping)) and not value)


def record(members: Mapping[str, Any]) -> str:
    """A record."""
    return fields(members)


def context(of: Context) -> str:
    """A context: its text and its citations."""
    rows = [
        (
            escape(one.marker),
            f"<b>{escape(one.title)}</b><br>" * bool(one.title) + f"<code>{escape(one.doc_id)}</code>",
            f"{one.start} to {one.end}",
            f"{one.score:.4f}",
        )
        for one in of.citations
    ]
    cited = table(("", "document", "where", "score"), rows, f"{of.tokens} tokens, {len(of.citations)} citations")
    return f'<pre style="white-space:pre-wrap">{escape(of.text)}</pre>{cited}'


def explanation(of: Explanation) -> str:
    """The arithmetic of a score, as it is printed."""
    return f"<pre>{escape(str(of))}</pre>"


def report(of: Report) -> str:
    """A result with named fields."""
    return fields(of._shown(), type(of).__name__)


def agent(one: Any) -> str:
    """An agent's definition."""
    return fields({name: getattr(one, name) for name in one.keys() if name != "name"}, one.name)


def match(one: Any) -> str:
    """One match."""
    return matches([one])


def matches(found: Sequence[Any]) -> str:
    """Matches of a question."""
    rows = [
        (
            str(rank),
            f"{one.score:.4f}",
            f"{one.confidence:.3f}",
            f"<b>{escape(one.agent.name)}</b><br><code>{escape(one.id)}</code>",
            text(one.agent.summary),
        )
        for rank, one in enumerate(found[:_MOST_ROWS], 1)
    ]
    return table(("", "score", "confidence", "agent", "summary"), rows, f"{len(found)} matches")


def panel(of: Any) -> str:
    """A panel."""
    rows = [
        (
            str(rank),
            f"{one.gain:.4f}",
            f"{one.score:.4f}",
            f"<b>{escape(one.agent.name)}</b><br><code>{escape(one.id)}</code>",
            cell([facet for facet, _ in one.facets]),
            cell(one.capabilities),
        )
        for rank, one in enumerate(of.members, 1)
    ]
    caption = f"coverage {float(of.coverage):.3f}"
    return table(("", "gain", "score", "agent", "best on", "brings"), rows, caption)
