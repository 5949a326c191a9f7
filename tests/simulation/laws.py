"""What must hold when a world is at rest, whatever happened in it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from inm.core.campaigns import Campaign, Counts
from inm.core.completeness import Recount, Tally, summed
from inm.core.edr import Edr
from inm.core.ids import delivery_id
from inm.core.journey import HELD
from inm.core.records import Dead, Outcome
from inm.core.results import Result
from inm.tables.rows import BODY
from inm.tables.tallies import OF_CAMPAIGN, OF_HOUR
from inm.topics import DEAD, EDR, OUTCOMES, RECEIPTS, changelog, requests
from tests.simulation.loop import START
from tests.simulation.provider import Submit
from tests.simulation.world import World

_edr = msgspec.json.Decoder(Edr).decode
_outcome = msgspec.json.Decoder(Outcome).decode
_dead = msgspec.json.Decoder(Dead).decode


def broken(world: World) -> list[str]:
    """Each broken law, in a sentence."""
    edrs = [_edr(record.value) for record in _records(world, EDR)]
    laws = (
        _nothing_raised,
        _at_rest,
        _tables_are_their_changelogs,
        _dead_letters,
        _each_retry_is_made,
        _no_answered_offer_again,
        _receipts,
        _each_row_once,
    )
    return [sentence for law in laws for sentence in law(world)] + [
        *_one_end(world, edrs),
        *_the_ledger_adds_up(world, edrs),
        *_submits(world, edrs),
        *_addressed(world, edrs),
        *_late_answers(world, edrs),
        *_cancelled(world, edrs),
        *_within_windows(world),
    ]


def _records(world: World, topic: str) -> Iterator[Any]:
    for name, partition in sorted(world.broker.logs):
        if name == topic:
            yield from world.broker.logs[name, partition].records


def _nothing_raised(world: World) -> Iterator[str]:
    yield from world.loop.failures()
    yield from world.providers.trespasses


def _at_rest(world: World) -> Iterator[str]:
    """Nothing unacked, everything committed."""
    live = [worker for worker in world.workers.values() if not worker.process.dead]
    for worker in live:
        if worker.consumer.pending:
            yield f"{worker.name} has {worker.consumer.pending} chunks that are not acked"
    for tp in sorted(tp for worker in live for tp in worker.consumer.held):
        log, at = world.broker.logs[tp.topic, tp.partition], world.broker.committed.get(tp)
        if log.offsets and (at is None or at.offset <= log.offsets[-1]):
            yield f"{tp} is committed to {at} of {log.end}"


def _tables_are_their_changelogs(world: World) -> Iterator[str]:
    """Nothing half written, and a restore from nothing would give the same rows."""
    for worker in world.workers.values():
        if worker.process.dead:
            continue
        for table in worker.code.tables:
            for number, held in table.partitions.items():
                restored = {}
                for record in world.broker.logs[table.changelog, number].records:
                    restored[record.key] = record.value
                restored = {key: value for key, value in restored.items() if value is not None}
                if held._overlay or held._queue:
                    yield f"{worker.name}: {table.name}[{number}] has rows that are not written"
                if held.database.rows != restored:
                    yield f"{worker.name}: {table.name}[{number}] is not what its changelog says"
                if held.database.unmarked:
                    yield f"{worker.name}: {table.name}[{number}] has rows that will not be looked at when they are due"


def _dead_letters(world: World) -> Iterator[str]:
    """Wrong requests, and receipts of submits whose answer nobody has."""
    letters = [_dead(record.value) for record in _records(world, DEAD)]
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    known = {decode(record.value)["provider_id"] for record in _records(world, RECEIPTS) if b'"submission"' in record.value}
    origins = {(letter.topic, letter.partition, letter.offset) for letter in letters if letter.topic == requests("acme")}
    if len(origins) != world.refused:
        yield f"{len(origins)} dead requests instead of {world.refused}"
    for letter in letters:
        if letter.topic == requests("acme"):
            continue
        orphan = letter.topic == RECEIPTS and letter.reason == "unknown-receipt" and letter.value is not None
        if not (orphan and decode(letter.value or "{}")["provider_id"] not in known):
            yield f"dead letter from {letter.stage}: {letter.reason}, {letter.detail}"


def _each_retry_is_made(world: World) -> Iterator[str]:
    """What dispatch has said it will offer again has an answer of its own, unless its time ended before."""
    outcomes = [_outcome(record.value) for record in _records(world, OUTCOMES)]
    answered = {(outcome.delivery, outcome.offer) for outcome in outcomes if outcome.answer}
    expires = {submit.delivery.id: submit.delivery.expires for submit in world.providers.submits}
    for outcome in outcomes:
        if outcome.answer is None or outcome.retry_at is None or outcome.retry_at + 8000 > expires.get(outcome.delivery, 0):
            continue
        held = outcome.answer.result in HELD or outcome.answer.result is Result.NOT_ALLOWED  # until its windows open
        again = delivery_id(outcome.notification, outcome.step, outcome.attempt + (not held))
        if (again, outcome.offer + 1 if held else 0) not in answered:
            yield f"{again} was to be tried at {outcome.retry_at / 1000 - START:.3f}, and never was"


def _no_answered_offer_again(world: World) -> Iterator[str]:
    """What has its answer on the topic is not handed over once more, marked or not; except that who was overdue may answer too late."""
    if world.group.overdue:
        return
    answered: dict[tuple[str, int], float] = {}
    for (topic, _), log in world.broker.logs.items():
        if topic == OUTCOMES:
            for record, came in zip(log.records, log.times, strict=True):
                outcome = _outcome(record.value)
                if outcome.answer:
                    answered.setdefault((outcome.delivery, outcome.offer), came)
    for submit in world.providers.submits:
        if submit.handed > answered.get((submit.delivery.id, submit.delivery.offer), submit.handed):
            yield f"{submit.delivery.id} is handed over by {submit.worker} at {submit.handed - START:.3f}, and has its answer already"


def _receipts(world: World) -> Iterator[str]:
    """A provider is told that we have a receipt only when Kafka has it: as it came, or as what it says of its delivery."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    kept = {(item["provider_id"], item.get("state")) for item in (decode(record.value) for record in _records(world, RECEIPTS))}
    outcomes = (_outcome(record.value) for record in _records(world, OUTCOMES))
    kept |= {(outcome.receipt.provider_id, outcome.receipt.state) for outcome in outcomes if outcome.receipt}
    for receipt in world.providers.told:
        if (receipt.provider_id, receipt.state) not in kept:
            yield f"the receipt {receipt.provider_id} {receipt.state} was taken, and is nowhere"


def _one_end(world: World, edrs: list[Edr]) -> Iterator[str]:
    finals = Counter(edr.notification for edr in edrs if edr.final)
    cancelled = {edr.notification for edr in edrs if edr.final and edr.event == "cancelled"}
    for notification in sorted(world.expected):
        if world.parents.get(notification) in cancelled and not finals[notification]:
            continue  # an offer that was called back has no members
        if finals[notification] != 1:
            yield f"{notification} has {finals[notification]} final EDRs"
    strangers = {edr.notification for edr in edrs} - world.expected
    if strangers:
        yield f"EDRs of notifications that nobody asked for: {sorted(strangers)}"
    for identity, count in Counter(edr.id for edr in edrs).items():
        if count > 1:
            yield f"{count} EDRs {identity}"


def _the_ledger_adds_up(world: World, edrs: list[Edr]) -> Iterator[str]:
    """What was counted is what the EDRs say."""
    recount = Recount()
    for edr in edrs:
        recount.take(edr)
    tallies: list[tuple[str, Tally]] = []
    for name, log in world.broker.logs.items():
        rows = {record.key.decode(): record.value for record in log.records} if name[0] == changelog("journeys") else {}
        hours = {key: value for key, value in rows.items() if key.startswith(OF_HOUR) and value is not None}
        tallies += [(key[1:], msgspec.msgpack.decode(value[BODY:], type=Tally)) for key, value in hours.items()]
    yield from recount.differences(summed(tallies))


def _each_row_once(world: World) -> Iterator[str]:
    """Every row of a campaign is released and counted; who is named twice is reached once."""
    if world.campaign is None:
        return
    campaigns = [msgspec.msgpack.decode(record.value[BODY:], type=Campaign) for record in _records(world, changelog("campaigns"))]
    rows = len(world.campaign.rows)
    if not campaigns or (campaigns[-1].state, campaigns[-1].released) != ("done" if rows else "ready", rows):
        yield f"of the {rows} rows of the campaign {campaigns[-1].released if campaigns else 0} are released: {campaigns[-1:]}"
    counts = []
    for name, log in world.broker.logs.items():
        kept = {record.key.decode(): record.value for record in log.records} if name[0] == changelog("journeys") else {}
        counts += [
            msgspec.msgpack.decode(value[BODY:], type=Counts) for key, value in kept.items() if key.startswith(OF_CAMPAIGN) and value
        ]
    taken, repeated = sum(count.taken for count in counts), sum(count.repeated for count in counts)
    # while a source fails, rows of one recipient wait as one item
    if taken != len(world.reached) or taken + repeated > rows or (taken + repeated < rows and not world.faults.source):
        yield f"{taken} rows are counted as taken and {repeated} as repeated, and {len(world.reached)} of {rows} are different recipients"
    if sum(count.lane for count in counts) or any(count.begun != sum(count.finals.values()) for count in counts):
        yield f"at rest something of the campaign is still counted as open: {counts}"


def _submits(world: World, edrs: list[Edr]) -> Iterator[str]:
    """A second submit only by policy or after a death, and never unmarked."""
    taken: dict[str, list[Submit]] = defaultdict(list)
    for submit in world.providers.submits:
        taken[submit.delivery.id.rpartition(".")[0]] += [submit] if submit.taken else []
    marked = Counter(f"{edr.notification}.{edr.step}" for edr in edrs if edr.redelivered or edr.duplicate)
    for step, submits in taken.items():
        resent = sum(submit.answer.result is Result.UNKNOWN for submit in submits)
        again = len(submits) - 1
        if again > 0 and submits[0].delivery.on_unknown == "wait-for-receipt":
            yield f"{step} was submitted {len(submits)} times, and may not be sent again"
        elif again > resent and not marked[step]:
            yield f"{step} was submitted {len(submits)} times, none of them marked, {resent} of them sent again by policy"
        if again > resent and world.blameless:
            yield f"{step} was submitted {len(submits)} times, and nobody died"
    if world.blameless and any(edr.redelivered for edr in edrs):
        yield "EDRs are marked as redelivered, and nobody died"
    yield from _said(taken, edrs)


def _said(taken: dict[str, list[Submit]], edrs: list[Edr]) -> Iterator[str]:
    """EDRs say of submits what the providers know."""
    for edr in edrs:
        if edr.duplicate and len(taken[f"{edr.notification}.{edr.step}"]) < 2:
            yield f"{edr.id} says that it is a duplicate, and it is not"
        if edr.event == "delivered" and not taken[f"{edr.notification}.{edr.step}"]:
            yield f"{edr.id} says delivered, and no provider took it"


def _late_answers(world: World, edrs: list[Edr]) -> Iterator[str]:
    """What was taken after it had been given up is said to be submitted, unless its worker died with the answer."""
    told = {edr.id.partition(".submitted")[0] for edr in edrs if edr.event == "submitted"}
    for submit in world.providers.submits:
        if submit.late and world.blameless and submit.delivery.id not in told:
            yield f"{submit.delivery.id} was taken, as its worker was told late, and no EDR says so"


def _cancelled(world: World, edrs: list[Edr]) -> Iterator[str]:
    """What ends as cancelled no provider has taken; a step that was stopped neither."""
    taken = {submit.delivery.id for submit in world.providers.submits if submit.taken}
    told = {delivery.partition(".")[0] for delivery in taken}
    for edr in edrs:
        if edr.event == "cancelled" and edr.final and edr.notification in told:
            yield f"{edr.id} says that nothing was sent, and a provider took it"
        if edr.event == "cancelled" and not edr.final and delivery_id(edr.notification, edr.step or 0, edr.attempt or 0) in taken:
            yield f"{edr.id} says that the step was stopped, and a provider took it"


def _within_windows(world: World) -> Iterator[str]:
    """Nothing is submitted outside of its window; who stood still may be late, and clocks differ by a second."""
    shut = {"held": (0.0, 59.0), "broken": (122.0, 178.0)}
    for submit in world.providers.submits if world.blameless else ():
        begins, ends = shut.get(submit.delivery.scenario, (0.0, 0.0))
        if begins < submit.at - START < ends:
            yield f"{submit.delivery.id} of {submit.delivery.scenario} is submitted at {submit.at - START:.3f}, and its window is shut"


def _addressed(world: World, edrs: list[Edr]) -> Iterator[str]:
    """What was submitted had an address, and goes on having one: a replay decides by the same user data."""
    taken = {submit.delivery.notification for submit in world.providers.submits if submit.taken}
    for edr in edrs:
        if edr.final and edr.reason == "no-address" and edr.notification in taken:
            yield f"{edr.id} says that there is no address, and a provider took it"
