"""What a pass is about to make, and what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from wattmesh_beckn.signature import Signer
from wattmesh_common.reading_token import ReadingToken
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.cluster.port import ClusterError, NamespaceTerminating
from wattmesh_operator.controller.apply import Leaving, NotOurs, TooLarge
from wattmesh_operator.desired.storage import WantedVolume
from wattmesh_operator.keys.key_files import HeldKeys, KeysUnreadable
from wattmesh_operator.resources.pod_template import PodTemplate
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.status.trouble import Trouble, refused

log = logging.getLogger(__name__)

AT_ONCE = 20
"""How many pods are worked on at a time; a new one takes a few calls to the API server at once."""


@dataclass(frozen=True)
class Prepared:
    """What a pod shall be: whose it is, and its manifests, the Deployment's last."""

    owner: Object
    manifests: list[Object]
    volume: WantedVolume | None
    """None where it keeps nothing on one."""
    template: PodTemplate
    follows: str = ""
    """Hash of the configuration that its pod follows while it runs."""

    @property
    def deployment(self) -> Object:
        """The manifest of the Deployment."""
        return self.manifests[-1]


@dataclass
class Applied:
    """What became of the pods in this pass: each one's Deployment, keys and trouble, by the pod's name."""

    registrars: dict[str, Signer] = field(default_factory=dict)
    """The registrar of each gateway."""
    tokens: dict[str, ReadingToken] = field(default_factory=dict)
    """The reading token of each gateway's market."""
    held: set[str] = field(default_factory=set)
    """Those that keep their template until a rollout reaches them."""
    deployments: dict[str, Object] = field(default_factory=dict)
    keys: dict[str, HeldKeys] = field(default_factory=dict)
    trouble: dict[str, Trouble] = field(default_factory=dict)
    leaving: dict[str, Trouble] = field(default_factory=dict)
    """Whose name an earlier resource has until it is gone."""
    volumes: dict[str, Trouble] = field(default_factory=dict)
    """Why a volume has another size than it shall have."""
    pulled: dict[str, str] = field(default_factory=dict)
    """The image that a pod which is not up waits for."""
    unanswered: bool = False
    """Whether somebody whose pod is up is not registered yet."""
    unexplained: bool = False
    """Whether some pod waits for its node, which says why in Events only."""


async def each(work: Mapping[str, Coroutine[Any, Any, None]], applied: Applied) -> None:
    """Do all of it, a bounded number at once; what goes wrong with one is its own trouble."""
    doing = asyncio.Semaphore(AT_ONCE)

    async def do(name: str, one: Coroutine[Any, Any, None]) -> None:
        async with doing:
            try:
                await one
            except NamespaceTerminating:
                raise
            except Leaving as error:
                applied.leaving[name] = Trouble(Reason.FORMER_LEAVING, str(error))
                log.info("%s: %s", name, error)
            except (ClusterError, KeysUnreadable, NotOurs, TooLarge) as error:
                applied.trouble[name] = (
                    Trouble(Reason.OBJECT_TOO_LARGE, str(error)) if isinstance(error, TooLarge) else refused(str(error))
                )
                log.warning("%s: %s", name, error)

    try:
        await asyncio.gather(*(do(name, one) for name, one in work.items()))
    finally:
        for one in work.values():
            one.close()  # one that has not begun when all is cancelled would be told of as never awaited
