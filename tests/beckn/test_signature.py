from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import BUYER, NOW, SELLER
from tests.world.clocks import StillClock
from tests.world.subscribers import signer
from wattmesh_beckn.signature import (
    SignatureHeader,
    SignatureProblem,
    Signer,
    check_signature,
    check_times,
    digest,
    parse_header,
)

CREATED = int(NOW)
BODY = b'{"context": {}, "message": {}}'
HEADER = BUYER.sign(BODY, created=CREATED, expires=CREATED + 30)
MALFORMED = "malformed signature header: "

seeds = st.binary(min_size=32, max_size=32)
names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,40}", fullmatch=True)
times = st.integers(0, 99_999_999_999)


def wrong(body: bytes) -> str:
    return (
        "wrong signature: it was made with another key, or over another body, created or expires; "
        f"the digest of the body received is BLAKE-512={digest(body)}"
    )


def problem_of(value: str | None, body: bytes = BODY, now: float = NOW) -> str:
    """Why a header is refused over a body at a time."""
    with pytest.raises(SignatureProblem) as info:
        accept(value, body, now)
    return str(info.value)


def accept(value: str | None, body: bytes = BODY, now: float = NOW) -> SignatureHeader:
    header = parse_header(value)
    check_times(header, now, now)
    check_signature(header, body, BUYER.public_key)
    return header


def test_a_signature_of_another_implementation_is_accepted_and_ours_is_the_same() -> None:
    """BECKN-006 by hand: BLAKE2b-512 of the body, three lines, Ed25519 with the first key of RFC 8032's section 7.1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    body = '{"context":{"action":"search"},"message":{"größe":"1.5"}}'.encode()
    blake = base64.b64encode(hashlib.blake2b(body).digest()).decode()
    lines = f"(created): 1606970629\n(expires): 1607030629\ndigest: BLAKE-512={blake}"
    signature = base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(lines.encode())).decode()
    header = (
        'Signature keyId="bap.example.org|key-1|ed25519",algorithm="ed25519",created="1606970629",'
        f'expires="1607030629",headers="(created) (expires) digest",signature="{signature}"'
    )

    ours = Signer.from_seed("bap.example.org", "key-1", seed)
    assert ours.public_key == base64.b64encode(public).decode()
    assert ours.sign(body, created=1606970629, expires=1607030629) == header

    parsed = parse_header(header)
    assert parsed == SignatureHeader("bap.example.org", "key-1", 1606970629, 1607030629, base64.b64decode(signature))
    check_times(parsed, 1606970630.5, 1606970630.5)
    check_signature(parsed, body, base64.b64encode(public).decode())


def test_the_key_of_rfc_8032_signs_what_it_signs_there() -> None:
    """Section 7.1, test 3: the bytes af82 under the third key; the Signer uses nothing but such a key."""
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    assert Ed25519PrivateKey.from_private_bytes(seed).sign(bytes.fromhex("af82")).hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert (
        Signer.from_seed("a", "k", seed).public_key
        == base64.b64encode(bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")).decode()
    )


def test_the_digest_of_nothing_is_that_of_rfc_7693() -> None:
    assert base64.b64decode(digest(b"")).hex() == (
        "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
        "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"
    )


@given(seeds, names, names, st.binary(max_size=2000), times, st.integers(1, 3600), st.floats(-5, 1))
def test_what_is_signed_is_accepted(
    seed: bytes, subscriber: str, key: str, body: bytes, created: int, ttl: int, at: float
) -> None:
    owner = Signer.from_seed(subscriber, key, seed)
    header = parse_header(owner.sign(body, created=created, expires=min(created + ttl, 99_999_999_999)))
    assert (header.subscriber_id, header.key_id, header.created) == (subscriber, key, created)
    if header.expires > max(created, created + at):
        check_times(header, created + at, created + at)
    check_signature(header, body, owner.public_key)


def test_a_signature_is_dated_by_the_machine_and_holds_as_long_as_what_it_signs() -> None:
    clock = StillClock(CREATED + 0.5)
    clock.stood_s = 60
    header = parse_header(BUYER.sign_until(BODY, CREATED + 8, clock))
    assert (header.created, header.expires) == (CREATED + 60, CREATED + 68)
    over = parse_header(BUYER.sign_until(BODY, CREATED - 8, clock))
    assert (over.created, over.expires) == (CREATED + 60, CREATED + 61)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_body_changed_in_one_bit_is_refused(body: bytes, data: st.DataObject) -> None:
    value = BUYER.sign(body, created=CREATED, expires=CREATED + 30)
    place = data.draw(st.integers(0, len(body) * 8 - 1))
    other = bytearray(body)
    other[place // 8] ^= 1 << place % 8
    assert problem_of(value, bytes(other)) == wrong(bytes(other))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_two_bodies_share_a_signature(body: bytes, other: bytes) -> None:
    value = BUYER.sign(body, created=CREATED, expires=CREATED + 30)
    if body == other:
        assert accept(value, other).subscriber_id == "buyer.street"
    else:
        assert problem_of(value, other) == wrong(other)


@given(st.integers(0, 64 * 8 - 1))
def test_a_signature_changed_in_one_bit_is_refused(place: int) -> None:
    signature = bytearray(parse_header(HEADER).signature)
    original = base64.b64encode(signature).decode()
    signature[place // 8] ^= 1 << place % 8
    assert problem_of(HEADER.replace(original, base64.b64encode(signature).decode())) == wrong(BODY)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("created", f'created="{CREATED}"', f'created="{CREATED + 1}"'),
        ("created", f'created="{CREATED}"', f'created="{CREATED - 1}"'),
        ("expires", f'expires="{CREATED + 30}"', f'expires="{CREATED + 31}"'),
        ("both", f'created="{CREATED}",expires="{CREATED + 30}"', f'created="{CREATED + 1}",expires="{CREATED + 31}"'),
    ],
)
def test_times_are_signed_too(name: str, old: str, new: str) -> None:
    assert name
    assert old in HEADER
    assert problem_of(HEADER.replace(old, new)) == wrong(BODY)


def test_another_key_does_not_do() -> None:
    assert problem_of(SELLER.sign(BODY, created=CREATED, expires=CREATED + 30)) == wrong(BODY)
    assert problem_of(signer("buyer.street", key=2).sign(BODY, created=CREATED, expires=CREATED + 30)) == wrong(BODY)


def test_who_signed_is_not_in_what_is_signed_so_the_key_must_be_looked_up_by_it() -> None:
    header = accept(HEADER.replace("buyer.street|", "seller.street|"))
    assert header.subscriber_id == "seller.street"
    with pytest.raises(SignatureProblem, match=r"^wrong signature"):
        check_signature(header, BODY, SELLER.public_key)


def without(name: str) -> str:
    scheme, _, rest = HEADER.partition(" ")
    return f"{scheme} " + ",".join(part for part in rest.split(",") if not part.startswith(f"{name}="))


@pytest.mark.parametrize("name", ["keyId", "algorithm", "created", "expires", "headers", "signature"])
def test_every_parameter_is_needed_once(name: str) -> None:
    assert problem_of(without(name)) == f"{MALFORMED}no {name}"
    part = next(part for part in HEADER.removeprefix("Signature ").split(",") if part.startswith(f"{name}="))
    assert problem_of(f"{HEADER},{part}") == f"{MALFORMED}{name} stands twice"


KEY_ID = "buyer.street|00000000-0000-4000-8000-000000000001|ed25519"
KEY_ID_FORM = f'{MALFORMED}keyId must be "subscriber_id|key_id|ed25519"'
PAIRS = f'{MALFORMED}parameters must be name="value", separated by commas'
SCHEME = f'{MALFORMED}it must start with "Signature keyId=…"'


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (KEY_ID, "buyer.street", KEY_ID_FORM),
        (KEY_ID, "buyer.street|key", KEY_ID_FORM),
        (KEY_ID, f"{KEY_ID}|x", KEY_ID_FORM),
        (KEY_ID, "|key|ed25519", KEY_ID_FORM),
        (KEY_ID, "buyer.street||ed25519", KEY_ID_FORM),
        (KEY_ID, "buyer.street|key|", KEY_ID_FORM),
        (KEY_ID, "", KEY_ID_FORM),
        ("|ed25519", "|rsa", "algorithm 'rsa' in keyId is not accepted; use 'ed25519'"),
        ("|ed25519", "|ED25519", "algorithm 'ED25519' in keyId is not accepted; use 'ed25519'"),
        ('algorithm="ed25519"', 'algorithm="hs2019"', "algorithm 'hs2019' differs from 'ed25519' in keyId"),
        ("(created) (expires) digest", "digest", f"{MALFORMED}headers must be '(created) (expires) digest'"),
        ("(created) (expires)", "(expires) (created)", f"{MALFORMED}headers must be '(created) (expires) digest'"),
        (f'created="{CREATED}"', 'created="now"', f"{MALFORMED}created must be unix seconds"),
        (f'created="{CREATED}"', f'created="{CREATED}.5"', f"{MALFORMED}created must be unix seconds"),
        (f'created="{CREATED}"', f'created="-{CREATED}"', f"{MALFORMED}created must be unix seconds"),
        (f'created="{CREATED}"', f'created="0{CREATED}"', f"{MALFORMED}created must be unix seconds"),
        (f'created="{CREATED}"', 'created=""', f"{MALFORMED}created must be unix seconds"),
        (f'created="{CREATED}"', 'created="999999999999"', f"{MALFORMED}created must be unix seconds"),
        (f'expires="{CREATED + 30}"', 'expires="1e10"', f"{MALFORMED}expires must be unix seconds"),
        (f'expires="{CREATED + 30}"', 'expires="٣"', f"{MALFORMED}expires must be unix seconds"),
        ('signature="', 'signature="*', f"{MALFORMED}signature is not base64"),
        ('signature="', 'signature="é', f"{MALFORMED}signature is not base64"),
        ('signature="', 'signature="A', f"{MALFORMED}signature is not base64"),
        ('signature="', 'signature="AAAA', f"{MALFORMED}signature must be 64 bytes in base64, not 67"),
        (",created", ";created", PAIRS),
        ('keyId="', "keyId=", PAIRS),
        ('keyId="', 'keyId="\\"', PAIRS),
        ('keyId="', 'keyId="\n', PAIRS),
        ("keyId=", "=", PAIRS),
        ("Signature ", "Bearer ", SCHEME),
        ("Signature ", "Signature", SCHEME),
        (HEADER, "", SCHEME),
        (HEADER, "Signature", f"{MALFORMED}no keyId"),
        (HEADER, 'Signature x="1"', f"{MALFORMED}no keyId"),
    ],
)
def test_a_malformed_header_is_told_what_is_wrong(old: str, new: str, problem: str) -> None:
    assert old in HEADER
    assert problem_of(HEADER.replace(old, new)) == problem


def test_no_header_is_told_so() -> None:
    assert problem_of(None) == "no signature: the header is missing"


def test_an_oversize_header_is_not_even_read() -> None:
    assert problem_of(HEADER + "x" * 2048) == f"{MALFORMED}it is longer than 2048 characters"


@pytest.mark.parametrize(
    "value",
    [
        f"  {HEADER}  ",
        HEADER.replace("Signature", "signature"),
        HEADER.replace(",", " , "),
        HEADER.replace("=", " = ", 2),
        f'{HEADER},opaque="passed over"',
        "Signature " + ",".join(reversed(HEADER.removeprefix("Signature ").split(","))),
    ],
)
def test_what_http_allows_is_allowed(value: str) -> None:
    assert accept(value) == parse_header(HEADER)


@given(st.text(max_size=300))
def test_any_text_is_refused_as_a_signature_problem(text: str) -> None:
    assert problem_of(text)
    assert problem_of(f"Signature {text}")


@given(
    st.lists(
        st.tuples(st.sampled_from(["keyId", "algorithm", "created", "expires", "headers", "signature"]), st.text())
    )
)
def test_any_parameters_are_refused_as_a_signature_problem(parameters: list[tuple[str, str]]) -> None:
    assert problem_of("Signature " + ",".join(f'{name}="{value}"' for name, value in parameters))


def test_an_expired_signature_is_told_both_clocks() -> None:
    assert problem_of(HEADER, now=NOW + 30) == (
        "signature expired at 2026-05-28T20:27:10.000Z; this clock says 2026-05-28T20:27:10.000Z"
    )
    assert problem_of(HEADER, now=NOW + 90.25) == (
        "signature expired at 2026-05-28T20:27:10.000Z; this clock says 2026-05-28T20:28:10.250Z"
    )
    assert accept(HEADER, now=NOW + 29.999).expires == CREATED + 30


def test_a_signature_from_the_future_is_told_both_clocks() -> None:
    assert problem_of(HEADER, now=NOW - 5.5) == (
        "signature created at 2026-05-28T20:26:40.000Z, ahead of this clock, 2026-05-28T20:26:34.500Z, "
        "by more than 5 s; set the sender's clock"
    )


@pytest.mark.parametrize("ahead", [0.0, 1.0, 4.999, 5.0])
def test_clocks_may_be_5_seconds_apart(ahead: float) -> None:
    assert accept(HEADER, now=NOW - ahead).created == CREATED


def test_the_latest_time_that_can_be_written_is_refused_like_any_other() -> None:
    late = BUYER.sign(BODY, created=99_999_999_999, expires=99_999_999_999)
    assert problem_of(late) == (
        "signature created at 5138-11-16T09:46:39.000Z, ahead of this clock, 2026-05-28T20:26:40.000Z, "
        "by more than 5 s; set the sender's clock"
    )


def test_a_signature_cannot_expire_before_it_is_made() -> None:
    value = BUYER.sign(BODY, created=CREATED + 4, expires=CREATED + 3)
    assert problem_of(value) == "signature expires before it was created"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("no base64!", "the registry's key is not base64"),
        (base64.b64encode(b"x" * 31).decode(), "the registry's key must be 32 bytes in base64, not 31"),
        (base64.b64encode(b"\xff" * 32).decode(), wrong(BODY)),
        (base64.b64encode(b"\x00" * 32).decode(), wrong(BODY)),
    ],
)
def test_a_bad_key_in_the_registry_is_a_problem_and_no_crash(key: str, problem: str) -> None:
    with pytest.raises(SignatureProblem) as info:
        check_signature(parse_header(HEADER), BODY, key)
    assert str(info.value) == problem


@given(seeds)
def test_a_signer_never_shows_its_key(seed: bytes) -> None:
    owner = Signer.from_seed("buyer.street", "key-1", seed)
    assert repr(owner) == str(owner) == f"{owner}" == "Signer('buyer.street', 'key-1')"
