"""Following the configuration file: households come to a pod and leave it while the others trade on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from wattmesh_agents.keyring import KeyRing
from wattmesh_agents.pod import Pod
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the file is read again. In a cluster the operator has the kubelet bring it as soon as it has changed."""

ConfigSource = Callable[[], Awaitable[bytes]]
"""Reads the configuration file. Raises OSError."""


class Following:
    """Has a pod follow its configuration."""

    def __init__(self, pod: Pod, keys: KeyRing, source: ConfigSource, first: bytes, clock: Clock) -> None:
        self._pod = pod
        self._keys = keys
        self._source = source
        self._known = first
        self._clock = clock
        self._problem = ""

    async def keep(self) -> None:
        """Follow until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Do what the file says now. What cannot be done yet is tried again by the next look."""
        try:
            text = await self._source()
            if text != self._known:
                config = RuntimeConfig.model_validate_json(text)
                await self._keys.look()
                if missing := sorted({one.subscriber_id for one in config.households} - {*self._keys}):
                    raise ValueError(f"there is no key of {', '.join(missing)} yet")
                self._pod.follow(config)
                self._known = text
            self._problem = ""
        except (OSError, ValidationError, ValueError) as error:
            problem = " ".join(str(error).split())
            if problem != self._problem:
                log.warning("the configuration cannot be followed yet: %s", problem)
            self._problem = problem
