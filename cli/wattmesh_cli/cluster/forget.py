"""Telling the pods of a cluster to forget a household that has left, signed with the keys of their registrars."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from pydantic import ValidationError

from wattmesh_cli.books import BooksError
from wattmesh_cli.cluster.pods import AgentsPod, pods_to_read
from wattmesh_cli.cluster.port import AllPods
from wattmesh_cli.cluster.registrar import registrar_of
from wattmesh_cli.deciding import signed, why
from wattmesh_cli.forgetting import Forgets, Leaver
from wattmesh_common.forget import FORGET, ForgetAnswer, ForgetCall


def forget(cluster: AllPods, leaver: Leaver) -> Sequence[Forgets]:
    """What each pod forgets. BooksError when the caller may not have it, or a pod refuses: what others were told before
    that is done, and done again without an effect.
    """
    return asyncio.run(_forget(cluster, leaver))


async def _forget(cluster: AllPods, leaver: Leaver) -> list[Forgets]:
    pods = pods_to_read(await cluster.listing())
    if unread := [str(pod.name) for pod in pods if str(pod.name) not in leaver.asked]:
        raise BooksError(f"{unread[0]}: this pod is new, and its books were not looked into; try again")
    message_id = str(uuid.uuid4())
    return [await _told(cluster, pod, leaver, message_id) for pod in pods]


async def _told(cluster: AllPods, pod: AgentsPod, leaver: Leaver, message_id: str) -> Forgets:
    registrar = await registrar_of(cluster, pod.name, pod.gateway)
    party = leaver.asked[str(pod.name)]
    asked = ForgetCall(
        subscriber_id=party,
        message_id=message_id,
        household=leaver.household,
        lost=leaver.lost,
        only_count=leaver.only_count,
    )
    status, body = await cluster.post(pod.name, f"/{party.partition('.')[0]}/{FORGET}", *signed(asked, registrar))
    try:
        if status == 200:
            answer = ForgetAnswer.model_validate_json(body)
            return Forgets(str(pod.name), answer.rows, answer.wiped)
    except ValidationError:
        pass
    raise BooksError(f"{pod.name}: {why(status, body)}")
