"""What checks messages against published schemas: it finds what is wrong, and says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.__main__ import check, main
from tests.conformance.schemas import Schemas
from tests.conformance.traffic import Exchange

DOCUMENT = """
openapi: {version}
paths:
  /status:
    post:
      requestBody: {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/Asked'}}}}}}}}
      responses: {{default: {{$ref: '#/components/responses/Taken'}}}}
components:
  schemas: {{Asked: {{type: object, required: [order_id], properties: {{order_id: {{type: string}}}}}}}}
  responses: {{Taken: {{content: {{application/json: {{schema: {{type: object, required: [message]}}}}}}}}}}
"""
ACK = {"message": {"ack": {"status": "ACK"}}}


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
def test_each_request_and_answer_is_counted_and_what_is_wrong_is_shown(tmp_path: Path, version: str) -> None:
    (tmp_path / "some.yaml").write_text(DOCUMENT.format(version=version))
    schemas = Schemas(tmp_path / "some.yaml")
    seen = [
        Exchange("/status", {"order_id": "o-1"}, ACK),
        Exchange("/status", {"order_id": 7}, {}),
        Exchange("/track", {}, ACK),
    ]
    found = check(seen, schemas, schemas)
    assert found.messages == {
        ("/status", "request"): 2,
        ("/status", "answer"): 2,
        ("/track", "request"): 1,
        ("/track", "answer"): 1,
    }
    assert {key: text.partition("\n")[0] for key, text in found.examples.items()} == {
        ("/status", "request"): "order_id: 7 is not of type 'string'",
        ("/status", "answer"): "body: 'message' is a required property",
        ("/track", "request"): "there is no request of /track in the document",
        ("/track", "answer"): "there is no answer of /track in the document",
    }


def test_without_the_documents_it_says_loudly_that_nothing_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert "NOT CHECKED" in capsys.readouterr().err
