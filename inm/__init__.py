"""INM, the notification manager."""

__version__ = "0.1.0"
