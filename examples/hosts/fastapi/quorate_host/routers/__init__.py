"""What can be asked of the service?"""

from __future__ import annotations

from . import agents, ask, chat, consensus, documents, flows, health, ingest, panels, reviews, runs, search

ROUTERS = tuple(
    one.router for one in (health, documents, ingest, search, agents, ask, panels, runs, flows, reviews, consensus, chat)
)
