"""Key files in Secrets."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from wattmesh_beckn.keys import read_keys
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.keys.key_files import KeysUnreadable, key_file, new_key_file, next_key_file, signers_of
from wattmesh_operator.keys.rotation import Rotation


def secret(file: bytes) -> Object:
    return {"metadata": {"name": "rooftop-0"}, "data": {"keys.json": base64.b64encode(file).decode()}}


def test_a_pod_reads_the_keys_that_the_operator_makes(tmp_path: Path) -> None:
    file = new_key_file(["rooftop-0.street"])
    (tmp_path / "keys.json").write_bytes(file)
    theirs = read_keys(tmp_path / "keys.json")["rooftop-0.street"]
    ours = signers_of(secret(file))["rooftop-0.street"]
    assert (ours.key_id, ours.public_key) == (theirs.key_id, theirs.public_key)


def test_keys_are_added_and_never_replaced() -> None:
    file = new_key_file(["a"])
    more, _ = next_key_file(secret(file), ["a", "b"], Rotation())
    assert json.loads(more)["a"] == json.loads(file)["a"]
    assert json.loads(more).keys() == {"a", "b"}
    assert new_key_file(["a"]) != file


def test_a_file_in_which_nothing_is_to_be_done_stays_byte_for_byte() -> None:
    file = json.dumps(json.loads(new_key_file(["a"])), indent=7).encode()
    assert next_key_file(secret(file), ["a"], Rotation()) == (file, "")


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "rooftop-0"}},
        {"metadata": {"name": "rooftop-0"}, "data": {"keys.json": "%"}},
        secret(b"not JSON"),
        secret(b"[]"),
        secret(b'{"a": {"key_id": "1", "private_key": "c2VjcmV0"}}'),
        secret(b'{"a": {"key_id": "00000000-0000-4000-8000-000000000001", "private_key": "c2VjcmV0"}}'),
        secret(new_key_file(["a"])[:-2] + b', "b": {"key_id": 0, "private_key": "c2VjcmV0"}}'),
    ],
)
def test_a_broken_secret_is_named_and_nothing_of_it_is_told(broken: Object) -> None:
    with pytest.raises(KeysUnreadable, match=r"^Secret rooftop-0") as raised:
        signers_of(broken)
    assert "c2VjcmV0" not in str(raised.value)


def test_the_file_is_what_the_secret_holds() -> None:
    assert key_file(secret(b"{}")) == b"{}"
