"""Gives the pods that run the labels and annotations of their resources, and has the kubelet bring their files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from wattmesh_operator.cluster.objects import Object, goes
from wattmesh_operator.cluster.observation import Observation
from wattmesh_operator.cluster.port import Cluster, ClusterError, Conflict, Missing
from wattmesh_operator.controller.applied import AT_ONCE, Prepared
from wattmesh_operator.desired.inherited import is_applied, pod_metadata

log = logging.getLogger(__name__)


async def label_pods(cluster: Cluster, seen: Observation, prepared: Mapping[str, Prepared]) -> list[str]:
    """Label the pods whose resources have other labels or annotations than they; returns what went wrong."""
    doing = asyncio.Semaphore(AT_ONCE)

    async def label(manifest: Object) -> str | None:
        async with doing:
            try:
                await cluster.apply(manifest)
            except (Conflict, Missing):  # gone, or another one by now
                return None
            except ClusterError as error:
                log.warning("%s", error)
                return str(error)
            return None

    wanted = [
        (manifest, pod)
        for name, one in prepared.items()
        for pod in seen.pods.get(name, ())
        if not goes(pod) and (manifest := pod_metadata(one.owner, one.template, pod, one.follows)) is not None
    ]
    answers = await asyncio.gather(*(label(manifest) for manifest, pod in wanted if not is_applied(manifest, pod)))
    return [answer for answer in answers if answer is not None]
