"""The steps of a rotation: nobody ever signs with a key that the registry does not hold, whoever dies when."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_beckn.keys import KeyFileError, SubscriberKeys, parse_keys
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.clock import utc
from wattmesh_gateway.rules import check_entry, check_key
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.desired.names import ROTATED_KEYS
from wattmesh_operator.keys.key_files import new_key_file, next_key_file
from wattmesh_operator.keys.rotation import MOST_RETIRING, Rotation, new_key, next_keys
from wattmesh_operator.plan import Participant
from wattmesh_operator.registry.entries import Registrant, wanted_entries
from wattmesh_operator.registry.registration import RegistryView, wanted_writes

NOW = 1_790_000_000
OVERLAP_S = 120
KUBELET_S = 60
"""How long a pod may take to see what its Secret says now."""
ROOF = Participant("roof-0", "roof-0.street", "main", ("BAP", "BPP"))


class Roof:
    """A household's Secret, its registry entries, and the pod, which sees the Secret late."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked = ""
        self.secret: Object = {"metadata": {"name": "roof-0", "annotations": {}}, "data": {}}
        self._write(new_key_file([ROOF.subscriber_id]), "")
        self.entries: dict[tuple[str, str], Subscription] = {}
        self.go(1)
        self.look()

    @property
    def keys(self) -> SubscriberKeys:
        return parse_keys(base64.b64decode(self.secret["data"]["keys.json"]), "keys")[ROOF.subscriber_id]

    @property
    def view(self) -> RegistryView:
        return RegistryView(tuple(entry for entry in self.entries.values() if entry.is_live(self.now)))

    def live(self) -> set[str]:
        """Keys that can sign in both roles."""
        return {key_id for _, key_id in self.entries if self._is_known(ROOF.subscriber_id, key_id, self.now + 10)}

    def _is_known(self, subscriber_id: str, key_id: str, now: int) -> bool:
        return {*self.view.roles_of(subscriber_id, key_id, now)} == {"BAP", "BPP"}

    # --- the operator ---

    def writes(self) -> tuple[bytes | None, str, list[Subscription]]:
        """What a pass would write: the key file (None: as it is) and its annotation, then entries."""
        rotation = Rotation(
            self.asked, True, self.now, OVERLAP_S, lambda name, key: self._is_known(name, key, self.now)
        )
        file, rotated = next_key_file(self.secret, [ROOF.subscriber_id], rotation)
        same = base64.b64encode(file).decode() == self.secret["data"]["keys.json"]
        keys = parse_keys(file, "keys")[ROOF.subscriber_id]
        registrant = Registrant(ROOF, "http://roof", keys.current.key_id, keys.current.public_key, keys.retiring)
        wanted = wanted_entries([registrant], "energy")
        return None if same else file, rotated, wanted_writes(wanted, self.view.entries or (), (), self.now)

    def go(self, steps: int) -> int:
        """A pass that is killed after so many writes; returns how many there were."""
        for done in range(steps):
            file, rotated, entries = self.writes()
            if file is not None:
                self._write(file, rotated)
            elif entries:
                self._put(entries[0])
            else:
                return done
        return steps

    def _write(self, file: bytes, rotated: str) -> None:
        self.secret["data"]["keys.json"] = base64.b64encode(file).decode()
        self.secret["metadata"]["annotations"] = {ROTATED_KEYS: rotated}

    def _put(self, entry: Subscription) -> None:
        held = [*self.entries.values()]
        check_entry(entry, self.now)
        check_key(entry, held)
        self.entries[entry.type, entry.key_id] = entry.model_copy(update={"updated": utc(self.now)})

    # --- the pod ---

    def look(self) -> None:
        self.signs_with = self.keys.signing.key_id

    def wait(self, seconds: int) -> None:
        for passed in range(0, seconds, KUBELET_S):
            self.now += min(seconds - passed, KUBELET_S)
            self.look()


def settled() -> Roof:
    roof = Roof()
    roof.go(10)
    roof.wait(10)
    return roof


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["rotate", "look", "lose registry"]),
            st.integers(1, 12),  # a pass, killed after so many writes
            st.sampled_from([-1, -5, -60, -300]),  # seconds that pass
        ),
        max_size=40,
    )
)
def test_whatever_happens_the_pod_signs_with_a_registered_key_and_one_key_is_left(doings: list[str | int]) -> None:
    roof = settled()
    lost = False
    for number, doing in enumerate(doings):
        if doing == "rotate":
            roof.asked = f"rotation {number}"
        elif doing == "look":
            roof.look()
        elif doing == "lose registry":
            roof.entries.clear()
            lost = True
        elif isinstance(doing, int) and doing > 0:
            cut_short = roof.go(doing) == doing
            lost = lost and cut_short
        elif isinstance(doing, int):
            roof.wait(-doing)
        assert lost or roof.signs_with in roof.live()
        assert len(roof.keys.retiring) <= MOST_RETIRING
        ends = [key.valid_until for key in roof.keys.retiring]
        assert all(end is None or end <= roof.now + OVERLAP_S for end in ends)
        assert None not in ends[1:]
    for _ in range(2 * MOST_RETIRING + 4):
        roof.go(50)
        roof.wait(KUBELET_S)
    assert roof.keys.retiring == ()
    assert roof.secret["metadata"]["annotations"][ROTATED_KEYS] == roof.asked
    assert roof.live() == {roof.keys.current.key_id} == {roof.signs_with}
    assert roof.go(1) == 0


def test_a_key_that_has_ended_is_expired_and_not_unsubscribed() -> None:
    roof = settled()
    former = roof.keys.current.key_id
    roof.asked = "now"
    roof.go(10)
    roof.wait(10)
    roof.go(10)
    assert roof.keys.retiring[0].valid_until == roof.now + OVERLAP_S
    assert {entry.valid_until for entry in roof.entries.values() if entry.key_id == former} == {
        utc(roof.now + OVERLAP_S)
    }
    roof.wait(OVERLAP_S)
    assert roof.go(10) == 1  # the Secret, and nothing in the registry
    assert {entry.status for entry in roof.entries.values()} == {SubscriptionStatus.SUBSCRIBED}
    assert roof.live() == {roof.keys.current.key_id}


def test_without_a_registry_a_rotation_waits_and_the_overlap_does_not_begin() -> None:
    roof = settled()
    roof.asked = "now"
    roof.go(1)
    registered, roof.entries = roof.entries, {}
    held = roof.keys
    roof.wait(10 * OVERLAP_S)
    assert roof.writes()[0] is None  # no end is given to what has no known successor
    assert roof.signs_with == held.retiring[0].signer.key_id
    roof.entries = registered
    roof.go(10)
    assert roof.signs_with in roof.live()
    roof.wait(10)
    roof.go(10)
    roof.look()
    assert roof.signs_with == held.current.key_id


def test_a_clock_ahead_of_the_registrys_ends_nothing_early() -> None:
    roof = settled()
    roof.asked = "now"
    roof.go(10)
    roof.wait(10)
    roof.go(10)
    roof.wait(OVERLAP_S)
    behind = [entry for entry in roof.entries.values() if entry.valid_until <= utc(roof.now)]
    assert len(behind) == 2
    assert wanted_writes([], behind, (), roof.now) == []
    assert len(wanted_writes([], behind, (), roof.now - 1)) == 2


def test_what_is_about_to_end_is_not_written_to_a_registry_whose_clock_may_be_ahead() -> None:
    roof = settled()
    roof.asked = "now"
    roof.go(10)
    roof.wait(10)
    roof.go(10)
    roof.wait(OVERLAP_S - 30)
    roof.entries.clear()
    assert {entry.key_id for entry in roof.writes()[2]} == {roof.keys.current.key_id}


def test_many_rotations_in_one_overlap_wait_for_each_other() -> None:
    roof = settled()
    for number in range(10):
        roof.asked = str(number)
        roof.go(10)
        roof.wait(5)
        roof.go(10)
    assert len(roof.keys.retiring) == MOST_RETIRING
    assert roof.secret["metadata"]["annotations"][ROTATED_KEYS] == str(MOST_RETIRING - 1)
    roof.wait(OVERLAP_S)
    roof.go(10)
    assert roof.secret["metadata"]["annotations"][ROTATED_KEYS] == "9"


def test_who_trades_no_more_keeps_no_former_key() -> None:
    rotation = Rotation("1", True, NOW, OVERLAP_S, lambda _name, _key: True)
    keys, _ = next_keys({"a": new_key(), "gone": new_key()}, "", ["a"], rotation)
    assert [len(held.get("retiring", ())) for held in keys.values()] == [1, 0]
    assert {len(held["first_key_id"]) for held in keys.values()} == {36}
    keys, rotated = next_keys(keys, "1", ["gone"], rotation)
    assert (keys["a"].get("retiring"), rotated) == (None, "1")


def test_one_that_the_registry_refuses_holds_up_the_rotation_of_its_pod_and_nothing_else() -> None:
    refused = Rotation("1", True, NOW, OVERLAP_S, lambda name, _key: name != "b")
    before = {"a": new_key(), "b": new_key()}
    assert next_keys(before, "", ["a", "b"], refused) == (before, "")


@pytest.mark.parametrize("valid_until", ["soon", 1.5, -1])
def test_a_former_key_without_a_sound_end_makes_no_key_file(valid_until: object) -> None:
    file = json.dumps({"a": {**new_key(), "retiring": [{**new_key(), "valid_until": valid_until}]}}).encode()
    with pytest.raises(KeyFileError, match=r"^keys: a\.retiring\.0\.valid_until: "):
        parse_keys(file, "keys")
