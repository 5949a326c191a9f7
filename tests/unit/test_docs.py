"""Laws that keep the documentation true: what the code has is on its page, and what a page names is there."""

import ast
import dataclasses
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest
from jsonschema import Draft202012Validator

from inm import cli, metrics, settings, topics
from inm.channels import rest, sms
from inm.channels.http import codes, message, poster
from inm.channels.rest import RestRoute
from inm.channels.smtp.route import EmailRoute
from inm.core import callbacks, health, journey, records, rendering, requests, retry, scenarios, schemas, sources, users
from inm.core.decide import Send, decide
from inm.core.documents import decode
from inm.core.edr import Edr, Event, Times
from inm.core.results import REASONS, Result
from inm.demo.inbox import SECRET
from inm.documents import load_catalogue
from inm.intake import body, submission
from inm.settings.routes import Traffic
from inm.streaming import app as streaming
from inm.streaming import dead, emitter, fatal, watchdog
from inm.tables import outbox
from inm.web import problems
from tests.unit.test_project import PROJECT, ROOT

PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
README, ARCHITECTURE, OPERATING = PAGES["README.md"], PAGES["docs/architecture.md"], PAGES["docs/operating.md"]
PRODUCERS, ANALYSTS = PAGES["docs/producers.md"], PAGES["docs/analysts.md"]

COUNTS = {"A": 7, "B": 10, "C": 6, "D": 11, "E": 6, "F": 8, "G": 4}
"""Rows of each group of the catalogue: A1 to A7 and so on."""
CHANNELS = ("sms", "email", "push", "whatsapp", "viber", "telegram", "vk", "facebook", "ussd", "rest", "files")
"""The channels of D1 to D11, in that order."""
MIB = 1024 * 1024


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}$", page, flags=re.MULTILINE)
    assert found, title
    rest_of_page = page[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest_of_page, flags=re.MULTILINE)
    return rest_of_page[: end.start()] if end else rest_of_page


def rows(text: str) -> list[list[str]]:
    """The cells of every row of its tables, without heads and rules."""
    lines = text.splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|--") and not following.startswith("|--")
    ]


def named(text: str) -> dict[str, list[str]]:
    """Rows by what stands in backticks in their first cell."""
    return {row[0].strip("`"): row[1:] for row in rows(text) if row[0].startswith("`")}


def blocks(page: str, *languages: str) -> list[str]:
    return [text for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE) if language in languages]


def commands() -> Iterator[tuple[str, str]]:
    """Every command of every shell block with its page: lines up to where all quotes are closed."""
    for name, page in PAGES.items():
        for block in blocks(page, "sh"):
            command = ""
            for line in block.replace("\\\n", " ").splitlines():
                command += line + "\n"
                if closed(command):
                    yield name, command
                    command = ""
            assert not command, block


def closed(command: str) -> bool:
    try:
        return bool(shlex.split(command, comments=True)) or not command.strip("\n")
    except ValueError:
        return False


# what a page must have


def test_the_matrix_has_every_id_once_with_a_state() -> None:
    found = [row for row in rows(section(README, "Feature matrix")) if not row[0].startswith("**")]
    assert [row[0] for row in found] == [f"{group}{number}" for group, count in COUNTS.items() for number in range(1, count + 1)]
    assert {row[2] for row in found} <= {"works", "partly", "not yet"}
    assert all(row[3:] and row[3].strip("| ") for row in found if row[2] == "partly"), "what is missing must be said"


def test_the_matrix_knows_the_channels_that_are_there() -> None:
    states = {row[0]: row[2] for row in rows(section(README, "Feature matrix"))}
    assert {name for number, name in enumerate(CHANNELS, 1) if states[f"D{number}"] != "not yet"} == set(topics.CHANNELS)


def test_every_topic_is_on_the_page_as_it_is_made() -> None:
    def kept(topic: topics.Topic) -> str:
        if topic.config.get("cleanup.policy") == "compact":
            return "compacted"
        days = int(topic.config["retention.ms"]) // topics.DAY
        return f"{days} day{'s' * (days > 1)}"

    partitions = 7
    expected = {
        topic.name: ["public" if topic.public else "internal", topic.key, str(topic.partitions).replace(str(partitions), "n"), kept(topic)]
        for topic in topics.catalogue(["<tenant>"], partitions)
    }
    assert {name: row[:4] for name, row in named(section(ARCHITECTURE, "Topics")).items()} == expected


def test_every_table_and_stage_is_on_the_page() -> None:
    assert set(named(section(ARCHITECTURE, "Tables"))) == set(topics.TABLES)
    stages = {path.stem for path in (ROOT / "inm" / "agents").glob("*.py")} - {"__init__"}
    assert {row[0] for row in rows(section(ARCHITECTURE, "Stages"))} == stages


def test_the_layers_are_those_of_the_contract() -> None:
    contract = next(one for one in PROJECT["tool"]["importlinter"]["contracts"] if one["id"] == "layers")
    expected = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    found = [re.findall(r"inm\.(\w+)", row[0]) for row in rows(section(ARCHITECTURE, "Imports"))]
    assert found == expected


def test_every_reason_has_its_sentence() -> None:
    found = named(section(PRODUCERS, "Reasons"))
    assert {reason: row[0] for reason, row in found.items()} == REASONS


def test_every_problem_has_its_status_and_help() -> None:
    found = named(section(PRODUCERS, "Errors"))
    assert found == {name: [str(kind.status), kind.help] for name, kind in problems.KINDS.items()}


def test_every_field_of_a_request_has_its_description() -> None:
    found = named(section(PRODUCERS, "A request"))
    expected = schemas.REQUEST | schemas.RECIPIENT
    assert found.keys() == expected.keys()
    assert all(found[name][0].startswith(text) for name, text in expected.items())


def fields(kind: type[msgspec.Struct]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind)]


def test_every_field_of_a_dead_letter_is_explained() -> None:
    assert sorted(named(section(PRODUCERS, "Records that are refused"))) == sorted(fields(records.Dead))


def test_every_field_and_event_of_an_edr_is_explained() -> None:
    assert set(named(section(ANALYSTS, "Fields"))) == {"schema", *fields(Edr)}
    assert set(named(section(ANALYSTS, "Events"))) == set(get_args(Event))
    assert set(re.findall(r"`(\w+)`", named(section(ANALYSTS, "Fields"))["times"][0])) == set(fields(Times))


def test_every_setting_and_variable_is_on_the_page() -> None:
    found = named(section(OPERATING, "Settings"))
    expected = {".".join(keys): f"`{variable}`" for variable, keys in settings.VARIABLES.items()}
    assert {key: found[key][0] for key in expected} == expected
    documented = {key.partition(".")[0] for key in found if key != "command"}
    assert {field.encode_name for field in msgspec.structs.fields(settings._Document)} == documented
    for variable in ("INM_CONFIG", "INM_API_KEYS", *settings.OTHERS):
        assert f"`{variable}`" in OPERATING


def defaults(kind: Any) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(kind) if field.name != "name"}


@pytest.mark.parametrize(("title", "kind", "more"), [("SMS", sms.SmsRoute, {"ca_file"}), ("E-mail", EmailRoute, set[str]())])
def test_every_option_of_a_route_is_on_the_page(title: str, kind: Any, more: set[str]) -> None:
    found = named(section(OPERATING, title))
    assert set(found) == {*defaults(kind), *more}
    for name, value in defaults(kind).items():
        if isinstance(value, str | float | int) and value != "":
            assert found[name][0] == f"`{str(value).lower() if isinstance(value, bool) else value}`", name
        elif value is dataclasses.MISSING and found[name][0].startswith("required"):
            assert next(field for field in dataclasses.fields(kind) if field.name == name).default_factory is dataclasses.MISSING, name


def test_rest_routes_are_as_their_page_says() -> None:
    page = PAGES["docs/rest-channel.md"]
    found = named(section(page, "Options"))
    assert set(found) == set(defaults(RestRoute))
    for name, value in defaults(RestRoute).items():
        if isinstance(value, str | float | int):
            assert found[name][0] == f"`{value}`", name
    statuses = {name: row[0].partition("`: ")[0].strip("`") for name, row in named(section(page, "Statuses")).items()}
    assert statuses == {str(status): result.value for status, result in (codes.BY_STATUS | codes.BY_CLASS).items()}
    variables = {word for text in re.findall(r"They may use (.*?); headers", page) for word in re.findall(r"`(\w+)`", text)}
    assert variables == set(message.VARIABLES)
    for block in blocks(page, "yaml"):
        for name, options in msgspec.yaml.decode(block).get("routes", {}).items():
            own: dict[str, Any] = {
                key.removesuffix("_env"): SECRET if key.endswith("_env") else value for key, value in options.items() if key != "channel"
            }
            assert isinstance(rest.build(RestRoute(name, **own)), rest.Rest), name


def test_callbacks_are_as_their_page_says() -> None:
    page = PAGES["docs/callbacks.md"]
    assert set(named(section(page, "An endpoint"))) == {one.name for one in msgspec.structs.fields(callbacks.Callback)} - {"tenant", "name"}
    waits = [
        f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
        for seconds in callbacks.SCHEDULE
    ]
    assert f"after {', '.join(waits[:-1])} and {waits[-1]}, each ±{callbacks.JITTER:.0%}".replace("%", " %") in page
    looks = ("30 s, 1 min, 2 min and then every 5 min", (30, 60, 120, 300))
    assert looks[0] in page
    assert looks[1] == callbacks.LOOKS
    for text in (
        f"After {callbacks.FAILING} failures in a row",
        f"At most {callbacks.AT_ONCE} posts",
        f"for {callbacks.PATIENCE // 3_600_000} h",
        f"for {callbacks.KEEP // topics.DAY} days",
        f"within {poster.TIMEOUT:.0f} s",
    ):
        assert text in page, text
    [document] = (value for block in blocks(page, "yaml") for value in [msgspec.yaml.decode(block)])
    assert isinstance(decode(document), callbacks.Callback)


def test_sources_are_as_their_page_says() -> None:
    page = PAGES["docs/sources.md"]
    assert {
        fault: row[1] if len(row) > 1 else row[0] for fault, row in named(section(page, "Mapping")).items() if fault in sources.FAULTS
    } == sources.FAULTS
    mapped = {field.name for field in msgspec.structs.fields(sources.Map)} - {"key"}
    assert mapped == set(named(section(page, "Mapping"))) - set(sources.FAULTS)
    settings_of_source = {
        field.name: f"`{field.default}`" for field in msgspec.structs.fields(sources.Source) if isinstance(field.default, int | float)
    }
    assert {name: row[0] for name, row in named(section(page, "Settings")).items()} == settings_of_source


def test_every_exit_code_is_on_the_page() -> None:
    codes = {value for name, value in vars(fatal).items() if name.startswith("EXIT_")}
    assert {int(row[0]) for row in rows(section(OPERATING, "Exit codes"))} == {0, 1, 2, *codes, cli.EXIT_MISCONFIGURED}


def test_every_command_is_on_the_page() -> None:
    assert set(named(section(OPERATING, "Commands"))) == {f"inm {name}" for name in cli.COMMANDS}


def test_every_metric_is_on_the_page_with_its_labels() -> None:
    found = named(section(OPERATING, "Health and metrics"))
    own = [metric for metric in vars(metrics).values() if getattr(metric, "_labelnames", None) is not None]
    suffix = {"counter": "_total", "info": "_info"}
    expected = {f"{metric._name}{suffix.get(metric._type, '')}": metric for metric in own}
    assert {name for name in found if name.startswith("inm_")} == set(expected)
    for name, metric in expected.items():
        assert all(f"`{label}`" in found[name][0] for label in metric._labelnames), name


def test_the_retry_schedule_is_stated_as_it_is() -> None:
    def span(seconds: float) -> str:
        unit, size = next((unit, size) for unit, size in (("h", 3600), ("min", 60), ("s", 1)) if seconds >= size)
        return f"{seconds / size:g} {unit}"

    def stated(waits: Iterable[float], jitter: float) -> str:
        return f"{', '.join(map(span, waits))}; each ±{100 * jitter:.0f} %"

    found = named(section(OPERATING, "Retries"))
    default = retry.DEFAULT
    assert found["temporary"][0] == stated(default.temporary, default.jitter)
    assert found["temporary"][1].startswith(f"{len(default.temporary)} further attempts")
    assert found["throttled"][0] == stated(default.throttled, retry.SPREAD)
    assert found["route-fault"][0] == stated(default.route_fault, retry.SPREAD)
    resend = next(row for row in rows(section(OPERATING, "Retries")) if row[0].startswith("`unknown`, policy `resend`"))
    assert resend[1:] == [stated(default.unknown, default.jitter), f"{len(default.unknown)} further attempts"]
    [example] = blocks(section(OPERATING, "Retries"), "yaml")
    assert msgspec.yaml.decode(example, type=dict[str, retry.Retries])["retries"] != default


def test_every_option_of_all_routes_and_every_level_is_on_the_page() -> None:
    page = PAGES["docs/routes.md"]
    found = named(section(page, "Options of all routes"))
    options = msgspec.structs.fields(Traffic)
    assert set(found) == {option.name for option in options}
    assert all(found[option.name][0] == f"`{option.default}`" for option in options if isinstance(option.default, float))
    assert {level: float(row[0]) for level, row in named(section(page, "Health")).items()} == health.FLOORS
    [routes, tenant] = blocks(section(page, "Options of all routes"), "yaml") + blocks(section(page, "Choice"), "yaml")
    names = {name: list(Traffic.__struct_fields__ & options.keys()) for name, options in msgspec.yaml.decode(routes)["routes"].items()}
    assert all(names.values())
    assert set(msgspec.yaml.decode(tenant)["routes"]["sms"]) == set(names)


def test_the_limits_are_stated_as_they_are() -> None:
    day = 24 * 3600
    expected = {
        "a request on Kafka or in a list": f"{requests.MAX_REQUEST // 1024} KiB",
        "a body of the API": f"{body.MAX_BODY // MIB} MiB",
        "requests in a list": str(submission.MAX_ITEMS),
        "recipients of a request": str(limit(records.Request, "to", "max_length")),
        "`fields` as JSON": f"{requests.MAX_FIELDS // 1024} KiB",
        "`fields` times recipients": f"{requests.MAX_EXPANDED // MIB} MiB",
        "any record that INM writes": f"{emitter.MAX_RECORD // 1024} KiB",
        "the record in a dead letter": f"{dead.LONGEST_VALUE // 1024} KiB",
        "source of a template": f"{rendering.MAX_SOURCE} characters",
        "a rendered text": f"{rendering.MAX_OUTPUT} characters",
        "loop rounds of a rendering": str(rendering.MAX_ROUNDS),
        "steps of a plan": str(limit(scenarios.Scenario, "plan", "max_length")),
        "`max_parts` of a scenario": str(limit(scenarios.Scenario, "max_parts", "le")),
        "`at` of a request, ahead": f"{requests.MAX_AHEAD} days",
        "validity, and `after` of a step": f"{limit(scenarios.Scenario, 'validity', 'le') // day} days",
        "ledger, after the last event or deadline": f"{journey.HORIZON // day // 1000} days",
        "a provider's message id, for late receipts": f"{outbox.KEEP // day // 1000} days",
        "`ttl` of user data": f"{users.MAX_TTL // day} days",
    }
    assert {row[0]: row[1] for row in rows(section(OPERATING, "Limits"))} == expected


def limit(kind: type[msgspec.Struct], field: str, name: str) -> int:
    """A bound in the type of a field, wherever in it."""
    info = msgspec.inspect.type_info(next(one.type for one in msgspec.structs.fields(kind) if one.name == field))
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return next(value for one in kinds if isinstance(value := getattr(one, name, None), int))


def test_the_times_of_a_worker_are_stated_as_they_are() -> None:
    workers = section(OPERATING, "Workers")
    assert f"session time-out of {streaming.SESSION_TIMEOUT:.0f} s" in workers
    assert f"over {watchdog.STOP_LIMIT:.0f} s" in workers
    times = {fatal.EXIT_STALL: watchdog.STALL_LIMIT, fatal.EXIT_UNREAD: watchdog.STALL_LIMIT, fatal.EXIT_LOOP: watchdog.LOOP_LIMIT}
    assert all(f"for {seconds:.0f} s" in named_code(code) for code, seconds in times.items())


def named_code(code: int) -> str:
    return next(row[1] for row in rows(section(OPERATING, "Exit codes")) if row[0] == str(code))


def test_the_path_to_a_channel_knows_every_result() -> None:
    assert set(named(section(PAGES["docs/adding-a-channel.md"], "Results"))) == set(Result)


# what a page names must be there


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of headings."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


@pytest.mark.parametrize("name", PAGES)
def test_files_and_modules_that_are_named_exist(name: str) -> None:
    for path in re.findall(r"`((?:inm|tests|docs|config)/[\w/.-]+)`", PAGES[name]):
        exists = (ROOT / path).exists()
        assert exists or (name.endswith("decisions.md") and path.endswith("/")), path
    for module in re.findall(r"`((?:core|agents|tables)/\w+)(?:\.py)?`", PAGES[name]):
        assert (ROOT / "inm" / f"{module}.py").exists(), module


def test_every_page_is_found_from_the_readme() -> None:
    assert all(f"({name})" in README for name in PAGES if name != "README.md")


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    mentioned = {target for page in PAGES.values() for target in re.findall(r"(?:`|^|\d )make ([a-z]+)", page, flags=re.MULTILINE)}
    assert {"demo", "test", "check"} <= mentioned <= targets


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def inm_commands() -> Iterator[tuple[str, list[str]]]:
    """Every use of ``inm`` in shell blocks and in the text: its words."""
    for name, line in commands():
        words = shlex.split(line, comments=True)
        for place, word in enumerate(words):
            if word in ("inm", ".venv/bin/inm"):
                yield name, words[place + 1 :]
    for name, page in PAGES.items():
        yield from ((name, words.split()) for words in re.findall(r"`(?:\.venv/bin/)?inm ([a-z][^`]*)`", page))


def test_commands_and_options_that_are_named_exist() -> None:
    used = list(inm_commands())
    assert len(used) > 10
    for name, words in used:
        command: click.Command | None = cli.group
        rest_of = iter(words)
        while isinstance(command, click.Group):
            word = next(rest_of, "--help")
            if word.startswith("-"):
                break
            command = command.get_command(click.Context(command), word)
        assert command, (name, words)
        given = {word.partition("=")[0] for word in rest_of if word.startswith("--")}
        assert given <= options(command), (name, words)


def test_arguments_of_the_demo_exist() -> None:
    command = cli.group.get_command(click.Context(cli.group), "demo")
    assert command
    given = {word for arguments in re.findall(r"make demo ARGS='([^']*)'", README) for word in arguments.split() if word.startswith("--")}
    assert "--once" in given <= options(command)


# examples must work


def json_examples(name: str) -> list[dict[str, Any]]:
    return [example for block in blocks(PAGES[name], "json") for example in [json.loads(block)] if isinstance(example, dict)]


CATALOGUE = load_catalogue(settings.load({"INM_CONFIG": str(ROOT / "config"), "INM_SMSC_PASSWORD": "secret", "INM_INBOX_SECRET": "secret"}))


def asked(examples: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The requests among the examples, those in CloudEvents too."""
    return [item for example in examples for item in (example, example.get("data", {})) if "to" in item]


def literals(program: str) -> list[dict[str, Any]]:
    """The constant dicts of a program."""
    return [
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
    ]


def test_every_example_of_a_request_would_be_sent() -> None:
    examples = asked([*json_examples("docs/producers.md"), *(found for block in blocks(PRODUCERS, "python") for found in literals(block))])
    bodies = [body for _, line in commands() for body in re.findall(r"""'(\{"scenario".*\})'""", line)]
    assert len(examples) >= 5
    assert len(bodies) >= 3
    for value in (*map(json.dumps, examples), *bodies):
        request = requests.parse(value.encode(), "acme", CATALOGUE)
        for notification in requests.expand(request, "acme", "place", 1, 6):
            assert isinstance(decide(notification, CATALOGUE.book("acme"), None, max(1, notification.at or 0)), Send), value


def test_every_example_of_an_edr_is_valid() -> None:
    examples = [example for example in json_examples("docs/analysts.md") if "schema" in example]
    assert examples
    for example in examples:
        Draft202012Validator(schemas.edr_schema()).validate(example)


def test_the_other_examples_are_what_they_are_said_to_be() -> None:
    examples = json_examples("docs/producers.md")
    kinds: dict[str, Callable[[dict[str, Any]], object]] = {
        "action": lambda example: users.parse(json.dumps(example).encode()),
        "stage": lambda example: msgspec.convert(example, records.Dead),
        "status": lambda example: msgspec.convert(example, problems.Document),
        "requests": lambda example: msgspec.convert(example, submission.Taken),
    }
    for key, check in kinds.items():
        found = [example for example in examples if key in example]
        assert found, key
        for example in found:
            check(example)


def test_programs_are_programs() -> None:
    programs = [block for page in PAGES.values() for block in blocks(page, "python")]
    assert len(programs) >= 3
    for program in programs:
        ast.parse(program)


def test_the_example_of_routes_is_taken(tmp_path: Path) -> None:
    from inm.channels.routes import build

    [routes] = blocks(OPERATING.partition("## Retries")[0], "yaml")
    (tmp_path / "inm.yaml").write_text(f"broker: {{servers: ['a:1']}}\n{routes}")
    found = settings.load({"INM_CONFIG": str(tmp_path), "INM_SMSC_PASSWORD": "secret", "INM_SMTP_PASSWORD": "secret"})
    assert set(build(found.routes.values())) == {"smsc-1", "smtp-1", "magic-sms", "magic-email", "magic-rest"}


def test_the_picture_shows_every_stage_and_names_no_topic_that_is_none() -> None:
    [picture] = blocks(README, "mermaid")
    stages = {path.stem for path in (ROOT / "inm" / "agents").glob("*.py")} - {"__init__"}
    assert stages <= set(re.findall(r"\b[a-z]+\b", picture))
    known = {topic.name for topic in topics.catalogue(["TENANT"], 1)} | {"inm.notifications.LANE", "inm.deliveries.CHANNEL.LANE"}
    shown = set(re.findall(r"inm\.[\w.]+", picture))
    assert shown <= known
    by_lane = re.compile(r"\.(urgent|normal|bulk)$")
    assert shown >= {name for name in known if not (name.endswith(".changelog") or by_lane.search(name))} - {topics.BEGUN}
