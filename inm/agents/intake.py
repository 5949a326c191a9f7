"""Takes requests in: decodes and checks them, and makes one notification a recipient."""

import faust
import msgspec

from inm import topics
from inm.app import app
from inm.core.ids import partition_of_notification
from inm.core.requests import InvalidRequestError, expand, parse
from inm.streaming.chunks import Chunk, Record
from inm.streaming.stage import Output, Reject

LOG_APPEND_TIME = 1
"""Kafka's timestamp type when the broker sets it. A producer's own clock is not believed: validity counts from this time."""

stage = app.stage("intake")
_encode = msgspec.json.Encoder().encode


@app.agent(app.requests(), name="intake")
async def agent(stream: faust.StreamT[Chunk]) -> None:
    await app.until_informed()
    await stage.run(stream, take)


def take(record: Record, out: Output) -> None:
    tenant = topics.tenant_of(record.topic)
    headers = {name.lower(): value for name, value in record.headers} if record.headers else None
    received = record.timestamp if record.timestamp_type == LOG_APPEND_TIME else out.now
    try:
        request = parse(record.value or b"", tenant, app.catalogue, headers=headers, now=received)
    except InvalidRequestError as error:
        raise Reject(error.reason, "; ".join(map(str, error.faults))) from error
    scenario = app.catalogue.scenario(tenant, request.scenario)
    lane = scenario.lane if scenario else None
    place = f"{record.topic}/{record.partition}/{record.offset}"
    for notification in expand(request, tenant, place, received, app.partitions):
        topic = topics.notifications(notification.lane or lane)
        out.emit(topic, notification.key.encode(), _encode(notification), partition_of_notification(notification.id))
