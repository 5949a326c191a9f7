"""What browsers load beside the pages. Every address has the content's hash in it, so they keep it for good."""

from hashlib import sha256
from pathlib import Path

from aiohttp import hdrs, web

from inm.console.route import PREFIX, Route, get
from inm.console.visit import Visit
from inm.web.problems import Problem

FOLDER = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

FILES: dict[str, bytes] = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
HASHES: dict[str, str] = {name: sha256(content).hexdigest()[:12] for name, content in FILES.items()}


def asset(name: str) -> str:
    """The address of a file."""
    return f"{PREFIX}/static/{HASHES[name]}/{name}"


async def serve(visit: Visit) -> web.StreamResponse:
    """A file, as long as it is the one that the page meant."""
    place = visit.request.match_info
    name = place["name"]
    if HASHES.get(name) != place["hash"]:
        raise Problem("not-found")
    headers = {hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable"}
    return web.Response(body=FILES[name], content_type=TYPES[Path(name).suffix], charset="utf-8", headers=headers)


ROUTES: list[Route] = [get("/static/{hash}/{name}", None, serve)]
