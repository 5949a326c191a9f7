"""Serves the REST door from every worker, in the place of Faust's own pages."""

import logging
from typing import Any

from faust.web.base import BlueprintManager

from inm.app import app
from inm.intake.rest import Rest

# Faust would show its statistics, or an empty page, at /.
web: Any = app.web
web.blueprints = BlueprintManager()
# It writes malformed lines of a request, an API key perhaps among them. What fails in our handlers is told by inm.rest.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

Rest(app).install(web.web_app)
