from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from wattmesh_beckn.keys import KeyFileError, read_keys
from wattmesh_beckn.signature import Signer

KEY_ID = "00000000-0000-4000-8000-000000000001"
SEED = bytes(range(32))
SECRET = base64.b64encode(SEED).decode()


def test_a_key_file_holds_the_keys_of_many_subscribers(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({name: {"key_id": KEY_ID, "private_key": SECRET} for name in ("a.street", "b.street")}))
    signers = read_keys(path)
    assert list(signers) == ["a.street", "b.street"]
    assert repr(signers["a.street"]) == f"Signer('a.street', '{KEY_ID}')"
    assert signers["b.street"].public_key == Signer.from_seed("b", "k", SEED).public_key


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", ": the file: Input should be a valid dictionary"),
        ({"a": {}}, ": a.key_id: Field required"),
        ({"a": {"key_id": KEY_ID}}, ": a.private_key: Field required"),
        ({"a": {"key_id": KEY_ID, "private_key": 5}}, ": a.private_key: Input should be a valid string"),
        ({"a": {"key_id": KEY_ID, "private_key": SECRET + "*"}}, ": a.private_key is not base64"),
        ({"a": {"key_id": KEY_ID, "private_key": "é" + SECRET}}, ": a.private_key is not base64"),
        (
            {"a": {"key_id": KEY_ID, "private_key": SECRET, "retiring": [{"key_id": KEY_ID, "private_key": "AA=="}]}},
            ": a.retiring.0.private_key must be 32 bytes, not 1",
        ),
        (
            {"a": {"key_id": KEY_ID, "private_key": SECRET[:40]}},
            ": a.private_key must be 32 bytes, not 30",
        ),
    ],
)
def test_a_key_file_that_cannot_be_used_is_told_why_and_shows_no_key(
    tmp_path: Path, content: Any, problem: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(KeyFileError) as info:
        read_keys(path)
    assert str(info.value).endswith(problem)
    assert str(info.value).startswith(str(path))
    assert SECRET[:20] not in str(info.value)


def test_the_newest_key_that_the_registry_is_known_to_hold_signs(tmp_path: Path) -> None:
    def key(number: int, **more: Any) -> dict[str, Any]:
        return {"key_id": f"{KEY_ID[:-1]}{number}", "private_key": SECRET, **more}

    def signing(*retiring: Any) -> str:
        (tmp_path / "keys.json").write_text(json.dumps({"a": key(3, retiring=retiring)}))
        return read_keys(tmp_path / "keys.json")["a"].key_id[-1]

    assert signing() == "3"
    assert signing(key(2)) == signing(key(2, valid_until=None)) == "2"
    assert signing(key(2, valid_until=None), key(1, valid_until=1_790_000_000)) == "2"
    assert signing(key(2, valid_until=1_790_000_900), key(1, valid_until=1_790_000_000)) == "3"


def test_a_key_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as info:
        read_keys(tmp_path / "none.json")
    assert str(info.value) == f"{tmp_path / 'none.json'}: No such file or directory"
