"""A pod over HTTP: its households' Beckn endpoints, and read-only pages for people and the operator."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from wattmesh_agents.books_page import MOST_ON_A_PAGE, ON_A_PAGE, BooksPages
from wattmesh_agents.history import history_page, slot_page
from wattmesh_agents.live import live_page
from wattmesh_agents.pod import RESTORED, RESTORED_S, Pod
from wattmesh_agents.receiving import BESIDE_BECKN, actions_of
from wattmesh_agents.status import party_state, party_status, pod_status
from wattmesh_agents.store.evidence import kept
from wattmesh_agents.store.schema import AUDITED_TABLES
from wattmesh_beckn.codec.v2.messages import BODIES
from wattmesh_beckn.evidence import SideOfContract
from wattmesh_beckn.http import add_calls, add_not_found, add_post
from wattmesh_beckn.messages import CALLS
from wattmesh_common.pod_pages import HistoryPage, LivePage, PartyStatus, SlotPage
from wattmesh_common.web_pages import add_api_docs, readers_only
from wattmesh_market.energy.slots import slot_of
from wattmesh_market.parties.party import Party

_Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE, description=f"rows, at most {MOST_ON_A_PAGE}")]
_After = Annotated[
    str | None,
    Query(
        max_length=2000, description="key of the row before, a JSON list; the header `Link` has that of the next page"
    ),
]


def create_app(pod: Pod) -> FastAPI:
    """The pod's HTTP side. The pod is started and stopped by the caller."""

    async def has_books() -> None:
        if pod.has_let_go:
            raise HTTPException(503, RESTORED, {"retry-after": str(RESTORED_S)})

    app = FastAPI(title=f"wattmesh agents {pod.config.pod}", openapi_url=None, dependencies=[Depends(has_books)])
    actions = actions_of(pod.config.protocols)
    add_calls(app, pod, "/{household}", sorted(actions.intersection(CALLS)))
    for action in sorted(actions.difference(CALLS)):
        add_post(app, pod, f"/{{household}}/{action}", f"Beckn {action}", BODIES[action])
    for name, call in BESIDE_BECKN.items():
        add_post(app, pod, f"/{{household}}/{name}", call.summary, call.body)
    _add_pages(app, pod)
    add_api_docs(app)
    add_not_found(app, lambda: "/<household>/<action>")
    return app


def _add_pages(app: FastAPI, pod: Pod) -> None:
    # All of them are coroutines: FastAPI would call plain functions in a thread, where SQLite does not follow.
    @app.get("/status", summary="Levels, totals and open contracts of every household and utility")
    async def status() -> list[PartyStatus]:
        return pod_status(pod)

    @app.get("/{household}/status", summary="Level, totals and open contracts of one")
    async def household_status(household: str) -> PartyStatus:
        return party_status(pod, _party(pod, household))

    books, readers = BooksPages(pod.database), readers_only(lambda: pod.config.readers)

    @readers.get("/contracts", summary="Contracts, each side's own record, page by page", response_class=JSONResponse)
    async def contracts(limit: _Limit = ON_A_PAGE, after: _After = None) -> Response:
        return books.page("contracts", after, limit)

    @readers.get("/ledger", summary="Every row that an audit needs, as of one moment", response_class=JSONResponse)
    async def ledger() -> Response:
        # Not by pages: what is booked, delivered or deleted between two would be findings.
        return books.tables(AUDITED_TABLES)

    @readers.get("/ledger/{table}", summary="One table of these, page by page", response_class=JSONResponse)
    async def one_table(
        table: Annotated[str, Path(description=", ".join(AUDITED_TABLES))],
        limit: _Limit = ON_A_PAGE,
        after: _After = None,
    ) -> Response:
        if table not in AUDITED_TABLES:
            raise HTTPException(404, f"no table {table[:63]!r} here; there are {', '.join(AUDITED_TABLES)}")
        return books.page(table, after, limit)

    @readers.get("/evidence/{transaction}", summary="What counterparties have signed of the contracts of a transaction")
    async def evidence(
        transaction: Annotated[str, Path(pattern="^[0-9a-f][0-9a-f-]{3,35}$", description="id, or its beginning")],
    ) -> list[SideOfContract]:
        return kept(pod.database.connection, transaction, pod.config.currency)

    @readers.get("/live", summary="What is new: standing, newest contracts and readings, messages; for a live view")
    async def live_view(
        after: Annotated[int, Query(ge=0, description="number of the last happening that is known")] = 0,
        slot: Annotated[int, Query(ge=0, description="the slot after which readings are wanted")] = 0,
    ) -> LivePage:
        return live_page(pod, after=after, slot=slot)

    @readers.get("/history", summary="From the books: the sums of at most two days' slots, by feeder; for a live view")
    async def history(
        since: Annotated[int, Query(ge=0, lt=2**40, description="the first slot that is wanted")] = 0,
    ) -> HistoryPage:
        return history_page(pod, since)

    @readers.get("/history/{slot:int}", summary="From the books: all readings and contracts of one slot")
    async def one_slot(slot: Annotated[int, Path(ge=0, lt=2**40, description="its start")]) -> SlotPage:
        return slot_page(pod, slot)

    app.include_router(readers)

    @app.get("/health/live", summary="Whether the process does its work")
    async def live(response: Response) -> dict[str, str]:
        if pod.alive:
            return {"status": "live"}
        response.status_code = 503
        return {"status": "the slot loop has ended"}

    @app.get("/health/ready", summary="Whether the disk takes changes and every party has entered the current slot")
    async def ready(response: Response) -> dict[str, str]:
        if pod.refusal is not None:
            response.status_code = 503
            return {"status": f"the database cannot be written: {pod.refusal}"}
        slot = slot_of(pod.grid.now())
        late = [
            one.name
            for one in pod.parties.values()
            if one.books.standing.next_slot < one.metered_until(slot) and not pod.rests(one)
        ]
        if pod.alive and not late:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": f"catching up: {', '.join(late)}" if late else "not started"}

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        for party in pod.parties.values():
            pod.metrics.show(party_state(party), party.books.unpriced, pod.grid.now())
        pod.metrics.show_plugins(pod.watch.troubles)
        return Response(generate_latest(pod.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _party(pod: Pod, name: str) -> Party:
    if name not in pod.parties:
        raise HTTPException(404, f"no household {name[:63]!r} here; there are {', '.join(sorted(pod.parties))}")
    return pod.parties[name]
