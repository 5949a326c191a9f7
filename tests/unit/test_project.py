"""Laws over the project's own files."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-worker.lock")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[object]) -> set[str]:
    found = (re.match(r"[\w.-]+", requirement) for requirement in requirements if isinstance(requirement, str))
    return {canonical(match[0]) for match in found if match}


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {canonical(name): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.split(r"\n(?=\w)", text.strip())
    assert len(packages) == len(pins(lock)) > 20
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"https?://|--index|--find-links|--extra-index", text)


def test_the_locks_hold_what_the_project_asks_for() -> None:
    runtime = names(PROJECT["project"]["dependencies"])
    demo = names(PROJECT["project"]["optional-dependencies"]["demo"])
    groups = {group: names(requirements) for group, requirements in PROJECT["dependency-groups"].items()}
    assert runtime | groups["build"] <= set(pins("requirements-worker.lock"))
    assert runtime | demo | groups["build"] | groups["dev"] <= set(pins("requirements.lock"))
    assert not demo & set(pins("requirements-worker.lock"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_what_is_imported_is_asked_for() -> None:
    runtime = names(PROJECT["project"]["dependencies"])
    demo = runtime | names(PROJECT["project"]["optional-dependencies"]["demo"])
    known = packages_distributions()
    for path in (ROOT / "inm").rglob("*.py"):
        modules = {module.partition(".")[0] for module in imported(path)} - sys.stdlib_module_names - {"inm"}
        distributions = {canonical(known.get(module, [module])[0]) for module in modules}
        assert distributions <= (demo if (ROOT / "inm/demo") in path.parents else runtime), path


def test_the_image_runs_what_the_tests_ran() -> None:
    assert pins("requirements-worker.lock").items() <= pins("requirements.lock").items()


def test_the_streaming_layer_stands_on_exact_versions() -> None:
    exact = {canonical(name): version for name, version in re.findall(r'"([\w-]+)==([\w.]+)"', (ROOT / "pyproject.toml").read_text())}
    assert set(exact) >= {"faust-streaming", "aiokafka", "mode-streaming", "rocksdict"}
    assert exact.items() <= pins("requirements.lock").items()


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony
    explained = re.findall(r"^([a-z]+):.*?## \S", makefile, flags=re.MULTILINE)
    assert sorted(explained) == sorted(phony[1].split())


def test_modules_stay_short() -> None:
    modules = [path for path in (ROOT / "inm").rglob("*.py") if "__pycache__" not in path.parts]
    long = {str(path.relative_to(ROOT)): lines for path in modules if (lines := len(path.read_text().splitlines())) > 300}
    assert not long
