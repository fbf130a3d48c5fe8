"""`wattmesh evidence`: what the other side of a contract has signed, for a third party."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.books import BooksError
from wattmesh_cli.names import Names, UnknownName
from wattmesh_cli.output import DEFAULT_OUTPUT, FOUND, Output, OutputOption, print_json, refuse, slot_json, slot_text
from wattmesh_cli.sources import (
    AllNamespacesOption,
    ContextOption,
    FromStateOption,
    KubernetesOption,
    NamespaceOption,
    source,
)
from wattmesh_cli.tables import Column, print_table
from wattmesh_market.units import kwh_text, money_text

if TYPE_CHECKING:
    from wattmesh_beckn.evidence import Proof, Proved


def evidence(
    transaction: Annotated[
        str | None, typer.Argument(metavar="[CONTRACT]", help="A transaction id, or its first characters.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check evidence instead, without any books.")
    ] = None,
    household: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this household or utility holds.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.", show_default="stdout")] = None,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Write the evidence of a contract: each side's books, and the messages of the other side with their signatures.

    With --verify, say what is proved: that the other side has agreed to energy and price, has said what it delivered,
    and that payment was made or received; and that the keeper's own ledger entry is in the chain that it has signed
    since. Exit code 1 when a signature is wrong, or more is claimed than is signed.
    Signatures are checked with the keys that the registry had at that moment, which stand in the evidence; whether they
    are the registry's, only the registry can say.
    """
    try:
        if (transaction is None) == (verify is None):
            raise BooksError("name a contract to write evidence of, or with --verify a file of it to check")
        if verify is not None:
            _verify(verify, output)
            return
        assert transaction is not None  # noqa: S101 - said above
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        sides = chosen.evidence(transaction)
        if household is not None:
            holder = Names(side.party for side in sides).resolve(household)
            sides = [side for side in sides if side.party == holder]
    except (BooksError, UnknownName) as error:
        refuse(error)
    # Only who asks for evidence waits for these imports.
    from wattmesh_beckn.evidence import Evidence

    text = Evidence(sides=tuple(sides)).model_dump_json(indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(BooksError(f"{out}: cannot be written: {error.strerror}"))
    typer.echo(f"{out}: {', '.join(f'{len(side.messages)} messages that {side.party} holds' for side in sides)}")


def _verify(path: Path, output: Output) -> None:
    """Print what a file of evidence proves. BooksError when it cannot be read."""
    from pydantic import ValidationError

    from wattmesh_beckn.evidence import Evidence, check

    try:
        found = Evidence.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BooksError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BooksError(f"{path}: no evidence of wattmesh: {where or 'the file'}: {first['msg']}") from None
    proofs = [check(side, found.sides) for side in found.sides]
    if output is Output.JSON:
        print_json([_as_json(proof) for proof in proofs])
    else:
        for proof in proofs:
            _print(proof)
    if not all(proof.sound for proof in proofs):
        raise typer.Exit(FOUND)


def _print(proof: Proof) -> None:
    side = proof.side
    relation = "bought of" if side.side == "buyer" else "sold to"
    typer.echo(f"{side.party} {relation} {side.counterparty}, transaction {side.transaction_id}")
    print_table(_COLUMNS, proof.deliveries)
    for entry in proof.keys:
        typer.echo(f"signed with key {entry.key_id} of {entry.subscriber_id}: {entry.signing_public_key}")
    for one in proof.chained:
        kept = f", kept by {', '.join(one.kept_by)}, too" if one.kept_by else ""
        typer.echo(
            f"entry {one.entry.number} of {side.party}'s ledger is in the chain that it signed for the day until "
            f"{slot_json(one.checkpoint.until, UTC)}, with key {one.key_id}{kept}"
        )
    for problem in proof.problems:
        typer.echo(f"not evidence: {problem}")
    typer.echo(
        "all that is claimed is signed"
        if proof.sound
        else "NOT PROVED: a signature is wrong, or more is claimed than is signed"
    )


def _signed(proved: bool | None) -> str:
    return "-" if proved is None else "signed" if proved else "NOT SIGNED"


_COLUMNS: Sequence[Column[Proved]] = (
    Column("SLOT (UTC)", lambda one: slot_text(one.claim.slot, UTC)),
    Column("kWh", lambda one: kwh_text(one.claim.energy_wh), right=True),
    Column("AMOUNT", lambda one: money_text(one.claim.amount_micro), right=True),
    Column("STATE", lambda one: one.claim.state.value),
    Column("AGREED", lambda one: _signed(one.agreed)),
    Column("DELIVERED", lambda one: _signed(one.delivered)),
    Column("PAID", lambda one: _signed(one.paid)),
)


def _as_json(proof: Proof) -> dict[str, object]:
    side = proof.side
    return {
        "party": side.party,
        "side": side.side,
        "counterparty": side.counterparty,
        "transaction_id": side.transaction_id,
        "sound": proof.sound,
        "problems": list(proof.problems),
        "deliveries": [
            {
                "slot_start": slot_json(one.claim.slot, UTC),
                "energy_kwh": kwh_text(one.claim.energy_wh),
                "amount": money_text(one.claim.amount_micro),
                "state": one.claim.state.value,
                "agreed": one.agreed,
                "delivered": one.delivered,
                "paid": one.paid,
            }
            for one in proof.deliveries
        ],
        "chained": [
            {
                "slot_start": slot_json(one.entry.slot, UTC),
                "entry": one.entry.number,
                "until": slot_json(one.checkpoint.until, UTC),
                "key_id": one.key_id,
                "kept_by": list(one.kept_by),
            }
            for one in proof.chained
        ],
        "keys": {entry.key_id: entry.signing_public_key for entry in proof.keys},
    }
