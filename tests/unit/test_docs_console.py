"""What docs/console.md says of the console is what it does; and what is vendored is what it claims to be."""

import re
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from inm import topics
from inm.console import notifications, passwords, static
from inm.console.words import MEANING
from inm.core import attempts, sessions
from inm.core.roles import ADDS
from inm.settings.console import ConsoleDocument
from tests.support.chromium import AXE
from tests.support.tour import STOPS
from tests.unit.test_docs import PAGES, blocks, named, section

PAGE = PAGES["docs/console.md"]
PICTURES = Path(__file__).parents[2] / "docs" / "console"


def test_the_roles_are_those_of_the_code() -> None:
    assert {role: row[0] for role, row in named(section(PAGE, "Accounts")).items()} == {
        role: "; ".join(MEANING[right] for right in rights) for role, rights in ADDS.items()
    }


def test_the_limits_are_those_of_the_code() -> None:
    minutes = attempts.WITHIN // 60_000
    wrong = f"after {attempts.BY_NAME} wrong passwords for one account, or {attempts.BY_ADDRESS} from one network address"
    for text in (
        f"{passwords.SHORTEST} to {passwords.LONGEST} characters",
        f"{wrong}, within {minutes} minutes",
        f"lasts {sessions.LASTS // 3_600_000} hours",
        f"after {notifications.BUDGET} s, or {notifications.MOST} that match",
        f"for {next(int(each.config['retention.ms']) for each in topics.catalogue([], 1) if each.name == topics.AUDIT) // topics.DAY} days",
    ):
        assert text in PAGE, text


def test_the_example_of_a_provider_is_one() -> None:

    [example] = blocks(section(PAGE, "OpenID"), "yaml")
    document = msgspec.convert(msgspec.yaml.decode(example)["console"], ConsoleDocument)
    assert document.oidc[0].claim == "email"


@pytest.mark.parametrize("folder", [static.FOLDER, AXE.parent], ids=lambda folder: folder.name)
def test_what_is_vendored_is_what_it_claims_to_be(folder: Path) -> None:
    told = dict(re.findall(r"^\| `([\w.-]+)` .* \| ([0-9a-f]{64}) \|$", (folder / "VENDORED.md").read_text(), flags=re.MULTILINE))
    assert told == {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.js")}


def test_every_page_has_its_pictures_and_each_is_small() -> None:
    shown = set(re.findall(r'(?:src|srcset)="console/([\w-]+)-(?:light|dark)\.png"', PAGE))
    assert shown == {"sign-in", *(stop.name for stop in STOPS)}
    for name in shown:
        for scheme in ("light", "dark"):
            assert (PICTURES / f"{name}-{scheme}.png").stat().st_size < 100_000, name
