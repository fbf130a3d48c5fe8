"""Bodies that are endless, false about their size, packed, or no JSON that two readers would read alike."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from tests.security.http_support import GOOD, HEAD, PATIENT, SHORT_S, Echo, app, run, served
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.receiver import MAX_BODY_BYTES, parse

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


def test_a_body_without_end_is_refused_and_not_kept() -> None:
    async def story() -> None:
        site = Echo()
        async with served(app(site), replace(PATIENT, discard_s=SHORT_S)) as street:
            peer = await street.connect()
            tracemalloc.start()
            try:
                await peer.send(CHUNKED, *(CHUNK for _ in range(5)))
                answer = await peer.answer()
                assert answer.status == 413
                assert answer.error.endswith("bytes; at most 262144 are read")
                await peer.keeps_sending(CHUNK, pause_s=0)
                assert tracemalloc.get_traced_memory()[1] < 16 * MAX_BODY_BYTES
            finally:
                tracemalloc.stop()
            assert site.asked == []

    run(story)


def test_after_a_body_that_was_too_big_the_connection_serves_the_next_call() -> None:
    async def story() -> None:
        site = Echo()
        async with served(app(site)) as street:
            peer = await street.connect()
            await peer.send(HEAD + b"content-length: 300000\r\n\r\n")
            assert (await peer.answer()).status == 413
            await peer.send(b"x" * 300_000, GOOD)
            assert (await peer.answer()).status == 200
            assert [body for _, body, _ in site.asked] == [b"{}"]

    run(story)


def test_a_body_shorter_than_announced_never_arrives() -> None:
    async def story() -> None:
        site = Echo()
        async with served(app(site, body_s=SHORT_S)) as street:
            assert (await street.ask(HEAD + b"content-length: 3\r\n\r\n{}")).status == 408
            assert site.asked == []

    run(story)


def test_what_exceeds_the_announced_length_is_no_part_of_the_body_and_no_call() -> None:
    """The surplus begins where the next request would: a proxy in between could be led to see another one there."""

    async def story() -> None:
        site = Echo()
        async with served(app(site)) as street:
            peer = await street.connect()
            await peer.send(HEAD + b"content-length: 2\r\n\r\n{}" + GOOD)
            answers = await peer.rest()
            assert answers.count(b"HTTP/1.1 ") == 1
            assert b"connection: close\r\n" in answers
            assert [body for _, body, _ in site.asked] == [b"{}"]

    run(story)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"x-gzip", b"GZIP", b"identity, gzip", b""])
def test_a_compressed_body_is_refused_unread(coding: bytes) -> None:
    bomb = {b"deflate": zlib.compress}.get(coding, gzip.compress)(b" " * 10_000_000)

    async def story() -> None:
        site = Echo()
        async with served(app(site)) as street:
            peer = await street.connect()
            await peer.send(HEAD + b"content-encoding: " + coding + b"\r\ncontent-length: %d\r\n\r\n" % len(bomb))
            answer = await peer.answer()
            assert (answer.status, answer.error) == (415, "compressed bodies are not read")
            await peer.send(bomb, GOOD)
            assert (await peer.answer()).status == 200
            assert [body for _, body, _ in site.asked] == [b"{}"]

    run(story)


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        (b"application/json", 200),
        (b"Application/JSON; charset=utf-8", 200),
        (b"text/plain", 415),
        (b"application/x-www-form-urlencoded", 415),
        (b"multipart/form-data; boundary=x", 415),
        (b"application/jsonp", 415),
        (b"", 415),
    ],
)
def test_a_body_that_says_it_is_something_else_is_refused(media_type: bytes, status: int) -> None:
    async def story() -> None:
        async with served(app(Echo())) as street:
            head = HEAD + b"content-type: " + media_type + b"\r\ncontent-length: 2\r\n\r\n{}"
            assert (await street.ask(head)).status == status

    run(story)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"context":' * 20_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe{\x00}\x00",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b'\xef\xbb\xbf{"context": {}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1}\x00',
        b'{"a": "\n"}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1" * 200_000,
    ],
)
def test_what_is_no_json_object_is_refused_with_a_short_reason(body: bytes) -> None:
    with pytest.raises(Refusal) as info:
        parse(body)
    assert info.value.status == 400
    assert len(info.value.message) < 200


def test_of_a_name_given_twice_the_last_counts_and_nothing_else_reads_the_body() -> None:
    """The signature is over the bytes. All checks and all acts use this one reading, so both see the same sender."""
    raw = parse(b'{"context": {"bap_id": "honest"}, "context": {"bap_id": "forger"}}')
    assert raw == {"context": {"bap_id": "forger"}}


def test_a_body_of_many_names_or_one_long_text_is_read_like_any_other() -> None:
    many = b"{" + b",".join(b'"%x":0' % number for number in range(20_000)) + b"}"
    assert len(parse(many)) == 20_000
    assert parse(b'{"a": "' + b"x" * 250_000 + b'"}') == {"a": "x" * 250_000}
