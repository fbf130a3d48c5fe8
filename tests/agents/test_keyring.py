"""The keys that a pod signs with change under it, and never break it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.beckn.support import clock
from tests.world.clocks import run
from tests.world.subscribers import signer
from wattmesh_agents.keyring import LOOK_S, KeyRing
from wattmesh_beckn.keys import KeyFileError, read_keys
from wattmesh_beckn.signature import Signer
from wattmesh_operator.keys.key_files import new_key_file

ROOF = "roof-0.street"


class Drawer:
    """Where the keys lie."""

    def __init__(self, *signers: Signer) -> None:
        self.signers = {signer.subscriber_id: signer for signer in signers}
        self.problem = ""
        self.looks = 0

    async def __call__(self) -> dict[str, Signer]:
        self.looks += 1
        if self.problem:
            raise KeyFileError(self.problem)
        return self.signers


def test_new_keys_are_taken_up_within_one_look_and_stay() -> None:
    async def main() -> None:
        drawer = Drawer(signer(ROOF), signer("flat-0.street"))
        ring = KeyRing(drawer.signers, drawer, clock())
        keeping = asyncio.ensure_future(ring.keep())
        drawer.signers = {ROOF: signer(ROOF, 2), "flat-0.street": signer("flat-0.street")}
        await clock().sleep(LOOK_S + 1)
        assert ring[ROOF].key_id == signer(ROOF, 2).key_id
        assert ring["flat-0.street"].key_id == signer("flat-0.street").key_id
        assert (len(ring), set(ring)) == (2, {ROOF, "flat-0.street"})
        await clock().sleep(10 * LOOK_S)
        assert drawer.looks == 11
        keeping.cancel()

    run(main())


def test_keys_that_cannot_be_read_leave_the_old_ones_and_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        drawer = Drawer(signer(ROOF))
        ring = KeyRing(drawer.signers, drawer, clock())
        drawer.signers = {ROOF: signer(ROOF, 2)}
        drawer.problem = "/keys.json is not JSON"
        for _ in range(5):
            await ring.look()
        assert ring[ROOF].key_id == signer(ROOF).key_id
        assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
            "the keys cannot be read again, the old ones stay in use: /keys.json is not JSON"
        ]
        drawer.problem = ""
        await ring.look()
        assert ring[ROOF].key_id == signer(ROOF, 2).key_id

    run(main())


def test_who_is_missing_in_the_new_file_keeps_the_key_and_who_is_new_gets_one() -> None:
    async def main() -> None:
        drawer = Drawer(signer(ROOF))
        ring = KeyRing(drawer.signers, drawer, clock())
        drawer.signers = {"new.street": signer("new.street")}
        await ring.look()
        assert {name: key.key_id for name, key in ring.items()} == {
            ROOF: signer(ROOF).key_id,
            "new.street": signer("new.street").key_id,
        }

    run(main())


def test_a_file_that_is_half_written_is_not_taken_for_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    whole = new_key_file([ROOF])
    file.write_bytes(whole)
    before = read_keys(file)

    async def source() -> dict[str, Signer]:
        return read_keys(file)

    async def main() -> None:
        ring = KeyRing(before, source, clock())
        for size in range(len(whole)):
            file.write_bytes(whole[:size])
            await ring.look()
            assert ring[ROOF] is before[ROOF]
        file.write_bytes(new_key_file([ROOF]))
        await ring.look()
        assert ring[ROOF].key_id == json.loads(file.read_bytes())[ROOF]["key_id"] != before[ROOF].key_id

    run(main())
