"""The pure parts of ``inm bench``: its load, its counting, and the bare pipe's table of what causes what."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from inm import settings, topics
from inm.cli import group
from inm.core.catalogue import Catalogue
from inm.core.decide import Send, decide
from inm.core.edr import Edr, Event, Times
from inm.core.records import LANES, Lane
from inm.core.requests import expand, parse
from inm.core.users import Upsert, User
from inm.demo import bench_disk as disk
from inm.demo import bench_fill as fill
from inm.demo import bench_pipe as pipe
from inm.demo.bench import Result, Sample, compare, regression
from inm.demo.bench_feed import Requests
from inm.demo.bench_load import RATE, TENANT, configure, scenario
from inm.demo.bench_meter import Count, Mark, cpu_of, mb_of
from inm.demo.bench_trials import TRIALS, Return
from inm.demo.smsc.pdus import Receipt, deliver_sm, submit_sm
from inm.documents import load_catalogue
from inm.streaming.database import Database

NOW = 1_795_334_400_000
CYCLE = 900


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("bench") / "config"
    configure(folder)
    found = settings.load({"INM_CONFIG": str(folder), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"})
    assert found.rates({"sms"}) == {"smsc-1": RATE}
    return load_catalogue(found)


def sends(catalogue: Catalogue, requests: Requests) -> list[Send]:
    users = {upsert.key: upsert.user(NOW) for _, _, upsert in map(decoded, requests.upserts(6))}
    found = []
    for number in range(CYCLE):
        (notification,) = expand(parse(requests[number], TENANT, catalogue), TENANT, "", NOW, 6)
        decision = decide(notification, catalogue.book(TENANT), users.get(notification.key), NOW)
        assert isinstance(decision, Send), decision
        found.append(decision)
    return found


def decoded(told: tuple[int, bytes, bytes]) -> tuple[int, bytes, Upsert]:
    return told[0], told[1], msgspec.json.decode(told[2], type=Upsert)


@pytest.mark.parametrize("users", [0, 60])
def test_of_ten_sms_one_has_two_parts_and_lanes_languages_and_scenarios_take_turns(catalogue: Catalogue, users: int) -> None:
    found = sends(catalogue, Requests("run", users))
    deliveries = [send.delivery for send in found]
    assert Counter(delivery.parts for delivery in deliveries) == {1: CYCLE * 9 // 10, 2: CYCLE // 10}
    assert Counter(delivery.lane for delivery in deliveries) == dict.fromkeys(LANES, CYCLE // 3)
    assert Counter(delivery.language for delivery in deliveries) == dict.fromkeys(("it", "en", "ru"), CYCLE // 3)
    assert {delivery.tenant for delivery in deliveries} == {TENANT}
    assert {delivery.channel for delivery in deliveries} == {"sms"}
    assert Counter(delivery.template for delivery in deliveries) == {scenario(number): CYCLE // 20 for number in range(20)}
    assert {(send.grounds.rules, send.grounds.rule, bool(send.grounds.misses)) for send in found} == {(10, 10, not users)}


def test_every_request_is_another_notification(catalogue: Catalogue) -> None:
    assert len({send.delivery.notification for send in sends(catalogue, Requests("run"))}) == CYCLE


def test_the_share_of_mails_is_kept(catalogue: Catalogue) -> None:
    channels = Counter(send.delivery.channel for send in sends(catalogue, Requests("run", email=0.3)))
    assert channels == {"email": CYCLE * 3 // 10, "sms": CYCLE * 7 // 10}


@pytest.mark.parametrize("email", [0.0, 0.3, 1.0])
def test_how_many_have_ended_is_reckoned_by_what_each_channel_tells(catalogue: Catalogue, email: float) -> None:
    requests = Requests("run", email=email)
    told = {"sms": 3, "email": 2}  # accepted and submitted, and of an SMS that it was delivered
    assert sum(told[send.delivery.channel] for send in sends(catalogue, requests)) == pytest.approx(CYCLE * requests.edrs)


def test_each_names_a_user_that_is_told_of() -> None:
    requests = Requests("run", users=7)
    known = {upsert.key for _, _, upsert in map(decoded, requests.upserts(6))}
    assert {f"{TENANT}/{msgspec.json.decode(requests[number])['to']['user']}" for number in range(CYCLE)} == known


def test_cpu_time_is_read_behind_any_process_name() -> None:
    rest = " S 1 1 1 0 -1 4194560 9 9 9 9 " + "150 50 7 7 20 0 1 0 9 9 9"
    assert cpu_of(f"42 (a) b) (c){rest}") == cpu_of(f"42 (java){rest}")
    assert cpu_of(f"42 (java){rest}") == 2 * cpu_of("42 (java) S 1 1 1 0 -1 4194560 9 9 9 9 100 0 7 7 20 0 1 0 9 9 9")


def test_memory_is_in_mib() -> None:
    status = "Name:\tjava\nVmHWM:\t 3072 kB\nVmRSS:\t  2048 kB\nThreads:\t3\n"
    assert (mb_of("VmRSS", status), mb_of("VmHWM", status)) == (2.0, 3.0)


def edr(event: Event, *, final: bool = False, lane: Lane = "normal", submitted: int | None = None) -> bytes:
    times = Times(NOW, submitted=None if submitted is None else NOW + submitted)
    return msgspec.json.encode(Edr(f"n.{event}", event, NOW, "n", "acme", "otp", times, final, lane=lane))


def test_ends_are_counted_and_latency_runs_from_request_to_provider() -> None:
    count = Count()
    for value in (
        edr("accepted"),
        edr("submitted", lane="urgent", submitted=40),
        edr("delivered", final=True, lane="urgent", submitted=40),
        edr("submitted", final=True, lane="bulk", submitted=70),
        edr("failed", final=True),
    ):
        count.add(value)
    assert count.final == {"delivered": 1, "submitted": 1, "failed": 1}
    assert count.complete == 2
    assert count.latency_ms() == {"bulk": {"p50": 70, "p95": 70, "p99": 70}, "urgent": {"p50": 40, "p95": 40, "p99": 40}}


def sample(ends: int, seconds: float, cpu: float) -> Sample:
    return Sample(Mark(10.0, {}, {"worker": 1.0}), Mark(10.0 + seconds, {}, {"worker": 1.0 + cpu}), Count(Counter(delivered=ends)))


def test_a_report_relates_the_rate_to_the_bare_pipe() -> None:
    report = Result(sample(1000, 2.0, 0.25), sample(400, 2.0, 0.1), sample(2000, 2.0, 0.1), {"worker": 99.6}).report()
    assert report["notifications_per_s"] == 500.0
    assert report["bare_pipe_per_s"] == 1000.0
    assert report["ratio"] == 0.5
    assert report["cpu_us_per_notification"] == {"worker": 250.0}
    assert report["bare_pipe_cpu_us"] == {"worker": 50.0}
    assert report["latency_at_per_s"] == 200.0
    assert report["rss_mb"] == {"worker": 100}
    assert report["final"] == {"delivered": 1400}


def test_a_ratio_may_be_a_third_below_the_recorded_one() -> None:
    assert regression({"ratio": 0.2}, {"ratio": 0.3}) is None
    assert "0.199" in (regression({"ratio": 0.199}, {"ratio": 0.3}) or "")
    assert regression({"ratio": None}, {"ratio": 0.3}) is not None


@pytest.mark.parametrize(("ratios", "measured", "worse"), [([0.2], 1, False), ([0.1, 0.2], 2, False), ([0.1] * 4, 3, True)])
def test_a_ratio_is_too_low_only_if_it_is_three_times(ratios: list[float], measured: int, worse: bool) -> None:
    left = iter(ratios)
    with pytest.raises(click.ClickException, match=r"0\.1") if worse else nullcontext():
        compare(lambda: {"ratio": next(left)}, {"ratio": 0.3})
    assert len([*left]) == len(ratios) - measured


def test_a_report_tells_what_each_stage_took() -> None:
    first, last = Mark(0.0, {}, {}, {"intake": 1.0}), Mark(2.0, {}, {}, {"intake": 1.5, "evaluate": 2.0, "users": 0.0})
    assert Sample(first, last, Count(Counter(delivered=10_000))).stage_us() == {"evaluate": 200.0, "intake": 50.0}


def test_a_report_without_bare_pipe_has_no_ratio() -> None:
    report = Result(sample(1000, 2.0, 0.25), sample(400, 2.0, 0.1), None, {}).report()
    assert report["ratio"] is report["bare_pipe_per_s"] is report["bare_pipe_cpu_us"] is None


def moved(parts: int) -> tuple[Counter[str], Count]:
    """What one request of so many parts makes the bare pipe write, by topic, with an SMSC that takes and delivers all."""
    written: Counter[str] = Counter()
    count = Count()
    queue = [pipe.Effect(pipe.REQUESTS, pipe.LANE[0])]
    while queue:
        topic, kind = queue.pop(0)
        written[topic] += 1
        if topic == topics.EDR:
            count.add(pipe.Effect(topic, kind).value)
        elif topic in pipe.SMS:
            queue += [pipe.Effect(topics.RECEIPTS, pipe.SUBMISSION)] * parts
            queue += pipe.EFFECTS[topic, pipe.SUBMISSION]
            queue += [pipe.Effect(topics.OUTCOMES, pipe.FIRST)] * (parts - 1) + [pipe.Effect(topics.OUTCOMES, pipe.LAST)]
        elif "changelog" not in topic:
            queue += pipe.EFFECTS[topic, kind]
    return written, count


@pytest.mark.parametrize("parts", [1, 2])
def test_the_bare_pipe_writes_as_many_records_as_a_worker(parts: int) -> None:
    written, count = moved(parts)
    assert written == {
        pipe.REQUESTS: 1,
        topics.notifications("urgent"): 1,
        topics.deliveries("sms", "urgent"): 1,
        topics.RECEIPTS: parts,
        topics.OUTCOMES: 1 + parts,
        topics.EDR: 3,
        topics.changelog("journeys"): 2 + parts,
        topics.changelog("outbox"): parts,
    }
    assert count.final == {"delivered": 1}


def test_the_bare_pipe_knows_real_topics_only() -> None:
    real = {topic.name for topic in topics.catalogue(["acme"], 6)}
    assert pipe.SIZES.keys() <= real
    assert {topic for topic, _ in pipe.EFFECTS} - {pipe.REQUESTS} <= real


def test_a_strict_smsc_takes_what_the_bare_pipe_submits_and_its_receipts_tell_the_parts() -> None:
    single, double = ([submit_sm(body) for body in bodies] for bodies in pipe.bodies())
    assert [(part.number, part.total) for part in single + double] == [(1, 1), (1, 2), (2, 2)]
    for part, kind in zip(single + double, (pipe.LAST, pipe.FIRST, pipe.LAST), strict=True):
        assert (b"text:" + pipe.FIRST in deliver_sm(Receipt(1, part, "DELIVRD"), "both")) == (kind == pipe.FIRST)


def test_an_open_notification_has_as_many_parts_as_are_counted_and_waits_for_long(catalogue: Catalogue) -> None:
    (notification,) = expand(parse(fill.request("u", "r"), TENANT, catalogue), TENANT, "", NOW, 6)
    decision = decide(notification, catalogue.book("acme"), User("acme/u", NOW + 1, phone="+393331112233"), NOW)
    assert isinstance(decision, Send)
    assert decision.delivery.parts == fill.PARTS
    assert decision.delivery.expires >= NOW + 3_600_000


def test_rows_on_a_disk_are_counted_over_all_partitions(tmp_path: Path) -> None:
    for partition, rows in enumerate((3, 4)):
        database = Database(tmp_path / "tables" / f"users-{partition}")
        database.write({b"%d" % number: b"x" for number in range(rows)}, rows, NOW)
        database.close()
    found = disk.held(tmp_path)
    assert found.rows == dict.fromkeys(topics.TABLES, 0) | {"users": 7}
    assert found.missing({"users": 9, "schedule": 0}) == {"users": 2, "schedule": 0}


def test_a_return_tells_how_fast_it_read() -> None:
    assert Return(2.0, 2.1, 2.2, 3000, 1.5, 1.0, 90, 80).report()["restored_per_s"] == 2000
    assert Return(2.0, 2.1, 2.2, 0, 0.0, 1.0, 90, 80).report()["restored_per_s"] is None


def test_the_commands_are_there_and_explain_their_options() -> None:
    shown = CliRunner().invoke(group, ["bench-state", "--help"])
    assert all(option in shown.output for option in ("--users", "--journeys", "--report", *TRIALS))


def test_the_command_is_there_and_explains_its_options() -> None:
    shown = CliRunner().invoke(group, ["bench", "--help"])
    assert shown.exit_code == 0
    assert all(option in shown.output for option in ("--seconds", "--workers", "--users", "--email", "--json", "--profile"))
