"""The console: pages for editors, moderators, operators and support, served by every worker under ``/console/``."""
