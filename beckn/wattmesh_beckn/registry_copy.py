"""A registry's entries at hand, kept up to date by reading what has changed."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

import pydantic_core
from pydantic import ValidationError

from wattmesh_beckn.context import Location
from wattmesh_beckn.registry import LOOKUP_TIMEOUT_S, LookupPage, RegistryUnavailable, Subscription, SubscriptionStatus
from wattmesh_beckn.transport import Transport, TransportError
from wattmesh_common.slim import slim


class RegistryCopy:
    """The SUBSCRIBED entries of the registry at `registry_url`.

    The first update reads all pages, each later one what has changed since. One that fails is taken up by the next.
    """

    def __init__(self, registry_url: str, transport: Transport) -> None:
        self._url = f"{registry_url.rstrip('/')}/lookup"
        self._transport = transport
        self._cursor: str | None = None
        self._entries: dict[tuple[str, str, str], Subscription] = {}
        self._locations: dict[tuple[str, str], Location] = {}
        self.version = 0
        """Another number after each change of the entries."""

    async def update(self, now: float) -> Collection[Subscription]:
        """The entries that have not ended at unix seconds `now`. Raises RegistryUnavailable."""
        status, body = await self._ask()
        if status == HTTPStatus.GONE:
            self._cursor = None
            self._entries.clear()
            self._locations.clear()
            self.version += 1
            status, body = await self._ask()
        while self._take(status, body):
            status, body = await self._ask()
        ended = [key for key, entry in self._entries.items() if entry.valid_until.timestamp() <= now]
        for key in ended:
            del self._entries[key]
        self.version += bool(ended)
        return self._entries.values()

    def _take(self, status: int, body: bytes) -> bool:
        """Take over a page; whether there are more."""
        if status != HTTPStatus.OK:
            raise RegistryUnavailable(f"{self._url} answered {status}")
        try:
            page = LookupPage.model_validate_json(body)
        except ValidationError as error:
            raise RegistryUnavailable(f"{self._url} answered what is no page of subscriptions: {error}") from None
        if page.more and page.cursor == self._cursor:
            raise RegistryUnavailable(f"{self._url} answers the same page again")
        self.version += bool(page.entries)
        for entry in page.entries:
            key = entry.subscriber_id, entry.type, entry.key_id
            if entry.status is SubscriptionStatus.SUBSCRIBED:
                self._entries[key] = slim(entry, location=self._same(entry.location))
            else:
                self._entries.pop(key, None)
        self._cursor = page.cursor
        return page.more

    def _same(self, location: Location) -> Location:
        """One object for all entries of a feeder: with one of its own, an entry takes 1.3 kB more."""
        return self._locations.setdefault((location.city.code, location.country.code), location)

    async def _ask(self) -> tuple[int, bytes]:
        page = {} if self._cursor is None else {"after": self._cursor}
        # Asked for by domain or role, an entry that changes it would leave unnoticed.
        body = pydantic_core.to_json({"page": page})
        try:
            reply = await self._transport.post(
                self._url, body, {"content-type": "application/json"}, timeout_s=LOOKUP_TIMEOUT_S
            )
        except TransportError as error:
            raise RegistryUnavailable(f"{self._url}: {error}") from None
        return reply.status, reply.body
