"""Serves the console from every worker that has a secret to sign its sessions with."""

import logging
from typing import Any

from inm.app import app
from inm.console.console import Console

log = logging.getLogger("inm.console")

web: Any = app.web
if app.settings.console is not None:
    Console(app, app.settings.console).install(web.web_app)
else:
    log.info("there is no console: INM_CONSOLE_SECRET is not set")
