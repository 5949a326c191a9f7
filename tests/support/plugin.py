"""The worked example of ``docs/plugins.md``, as pip would leave it in a folder: its module, and metadata with its entry points."""

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


def _block(name: str) -> str:
    """What stands in the code block whose first line names the file."""
    return PAGE.read_text().partition(f"# {name}\n")[2].partition("```")[0]


def install(folder: Path, more: str = "") -> None:
    """Put it into a folder that is, or will be, on Python's path; ``more`` are further entry points."""
    folder.mkdir(exist_ok=True)
    (folder / "acme_rules.py").write_text(_block("acme_rules.py"))
    information = folder / "acme_rules-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    points = _block("pyproject.toml").partition('[project.entry-points."inm.algorithms"]\n')[2].replace('"', "")
    (information / "entry_points.txt").write_text(f"[inm.algorithms]\n{points}\n{more}\n")
