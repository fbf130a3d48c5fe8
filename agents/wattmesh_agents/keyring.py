"""The keys that a pod signs with, which change while it runs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

from wattmesh_beckn.keys import KeyFileError
from wattmesh_beckn.signature import Signer
from wattmesh_common.clock import Clock

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often the keys are read again. The kubelet itself brings a changed Secret only after a minute or so."""

KeySource = Callable[[], Awaitable[Mapping[str, Signer]]]
"""Reads the keys to sign with now, by subscriber id. Raises KeyFileError."""


class KeyRing(Mapping[str, Signer]):
    """The key that each subscriber signs with, by subscriber id. Who asks for it gets the newest one there is."""

    def __init__(self, signers: Mapping[str, Signer], source: KeySource, clock: Clock) -> None:
        self._signers = dict(signers)
        self._source = source
        self._clock = clock
        self._problem = ""

    def __getitem__(self, subscriber_id: str) -> Signer:
        return self._signers[subscriber_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._signers)

    def __len__(self) -> int:
        return len(self._signers)

    async def keep(self) -> None:
        """Take up new keys until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Take up the keys that are there now. Who has none there, or that cannot be read, keeps the old one."""
        try:
            found = await self._source()
        except KeyFileError as error:
            if str(error) != self._problem:
                log.warning("the keys cannot be read again, the old ones stay in use: %s", error)
            self._problem = str(error)
            return
        self._problem = ""
        for subscriber_id, signer in found.items():
            known = self._signers.get(subscriber_id)
            if known is not None and known.key_id == signer.key_id:
                continue
            self._signers[subscriber_id] = signer
            if known is not None:
                log.info("%s signs with key %s from now on", subscriber_id, signer.key_id)
