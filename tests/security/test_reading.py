"""Who has no right to read sees nobody's load curve, trades or partners, and one right opens no more than it is for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tests.security.arena import Arena, arena
from tests.world.tokens import ANOTHER, TOKEN
from wattmesh_agents.app import create_app as create_agents_app
from wattmesh_common.reading_token import ReadingToken, TokenFileError, read_token
from wattmesh_gateway.app import create_app as create_gateway_app

OPEN = {  # of a gateway
    "/",
    "/page/{name}",
    "/api/public",
    # of both
    "/status",
    "/{household}/status",
    "/metrics",
    "/health/live",
    "/health/ready",
}
"""Pages of a pod that anybody may read: how it stands now. Whatever else is added needs a token, or a line here."""
ROOF = "http://roof-0"


def paths(app: FastAPI) -> list[str]:
    """Every path that is read with GET, with something in the place of its parameters."""
    described = app.openapi()["paths"]
    shut = [path for path, methods in described.items() if "get" in methods and path not in OPEN]
    for name, value in (("{transaction}", "00000000"), ("{slot}", "1782014400"), ("{table}", "readings")):
        shut = [path.replace(name, value) for path in shut]
    return shut


def test_all_of_a_gateway_that_tells_of_a_household_is_shut(tmp_path: Path) -> None:
    async def play() -> tuple[list[str], dict[str, set[int]]]:
        async with arena(tmp_path) as street:
            app = create_gateway_app(street.run.gateway, street.wires, TOKEN)
            shut = [path.replace("{subscriber_id}", "roof-0.default") for path in paths(app)]
            answers: dict[str, set[int]] = {}
            async with httpx.AsyncClient(trust_env=False, base_url=street.wires.origins["gateway"]) as client:
                for who, headers in (
                    ("nobody", {}),
                    ("another market", ANOTHER.header),
                    ("a household", TOKEN.of_pod(ROOF).header),
                ):
                    answers[who] = {(await client.get(path, headers=headers)).status_code for path in shut}
                street_of = await client.get("/api/street", headers=TOKEN.header)
                answers["the market"] = {street_of.status_code}
                public = await client.get("/api/public")
                assert "roof-0" not in public.text
                assert "flat-0" not in public.text
            return shut, answers

    shut, answers = asyncio.run(play())
    assert shut == [
        *("/api/street", "/api/households/roof-0.default", "/api/trades/{transaction_id}", "/api/history"),
        *("/api/history/1782014400", "/events"),
    ]
    assert answers == {
        "nobody": {401},
        "another market": {401},
        "a household": {401},
        "the market": {200},
    }


class Asked:
    """What the pages of a pod answered, by who asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.answers: dict[str, list[httpx.Response]] = {}

    async def ask(self, street: Arena, who: str, headers: Mapping[str, str]) -> None:
        async with httpx.AsyncClient(trust_env=False, base_url=street.wires.origins["roof-0"]) as client:
            self.answers[who] = [await client.get(path, headers=headers) for path in self.paths]


@pytest.fixture(scope="module")
def asked() -> Asked:
    found = Asked()

    async def play(folder: Path) -> None:
        async with arena(folder) as street:
            found.paths = paths(create_agents_app(street.run.pods["roof-0"]))
            await street.pass_time(10.0)
            for who, token in (
                ("the market", TOKEN),
                ("the household", TOKEN.of_pod(ROOF)),
                ("a neighbour", TOKEN.of_pod("http://flat-0")),
                ("another market", ANOTHER),
                ("another market's", ANOTHER.of_pod(ROOF)),
                ("a guess", ReadingToken.new()),
            ):
                await found.ask(street, who, token.header)
            await found.ask(street, "nobody", {})
            await found.ask(street, "a password", {"authorization": "Basic d2F0dDptZXNo"})
            await found.ask(street, "a short one", {"authorization": f"Bearer {TOKEN.text[:-1]}"})
            await found.ask(street, "its digest", {"authorization": f"Bearer {TOKEN.digest}"})
            await found.ask(street, "nonsense", httpx.Headers([(b"authorization", b"Bearer \xff")]))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
    return found


def test_all_that_tells_of_a_household_is_asked_for(asked: Asked) -> None:
    assert asked.paths == [
        *("/contracts", "/ledger", "/ledger/readings", "/evidence/00000000", "/live", "/history"),
        "/history/1782014400",
    ]


@pytest.mark.parametrize("who", ["the market", "the household"])
def test_who_may_read_does(asked: Asked, who: str) -> None:
    assert [answer.status_code for answer in asked.answers[who]] == [200] * len(asked.paths)
    assert asked.answers[who][1].json()["parties"][0]["party"] == "roof-0.default"


@pytest.mark.parametrize(
    "who",
    [
        *("a neighbour", "another market", "another market's", "a guess", "nobody", "a password", "a short one"),
        *("its digest", "nonsense"),
    ],
)
def test_who_may_not_read_is_told_so_and_nothing_else(asked: Asked, who: str) -> None:
    for answer in asked.answers[who]:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] in (
            "this shows what households use and trade: 'Authorization: Bearer <reading token>' is needed",
            "this reading token opens nothing here",
        )


def test_a_partners_server_is_shown_nothing_that_opens_another_pod(tmp_path: Path) -> None:
    """The gateway asks every registered server for `/live`; a stranger's among them."""

    async def play() -> tuple[str, int]:
        async with arena(tmp_path) as street:
            await street.enrol(street.puppet.me, "BPP", url="http://puppet/puppet")
            watch = street.run.gateway.watched_through(street.wires, TOKEN)
            await watch.look()
            await watch.stop()
            [shown] = {headers["authorization"] for url, headers in street.wires.sent if "puppet/live" in url}
            async with httpx.AsyncClient(trust_env=False) as stranger:
                at = street.wires.origins["roof-0"]
                tried = await stranger.get(f"{at}/ledger", headers={"authorization": shown})
            return shown, tried.status_code

    shown, status = asyncio.run(play())
    assert TOKEN.text not in shown
    assert status == 401


def test_a_pod_without_readers_opens_to_nobody(tmp_path: Path) -> None:
    async def play() -> list[int]:
        async with arena(tmp_path) as street:
            pod = street.run.pods["roof-0"]
            pod.config = pod.config.model_copy(update={"readers": ()})
            found = Asked()
            found.paths = paths(create_agents_app(pod))
            await found.ask(street, "the market", TOKEN.header)
            return [answer.status_code for answer in found.answers["the market"]]

    assert set(asyncio.run(play())) == {401}


# --- the token itself ---


def test_a_token_shows_in_no_repr_and_no_error() -> None:
    assert TOKEN.text not in f"{TOKEN!r} {TOKEN}"
    with pytest.raises(ValueError, match="no reading token") as refused:
        ReadingToken("secret but short")
    assert "secret but short" not in str(refused.value)
    assert len({ReadingToken.new().text for _ in range(100)}) == 100


@pytest.mark.parametrize("content", [b"", b"short", "ä".encode() * 50, TOKEN.text.encode() + b" more"])
def test_a_file_without_a_token_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(TokenFileError) as refused:
        read_token(path)
    assert str(path) in str(refused.value)
    assert not content or content.decode() not in str(refused.value)
