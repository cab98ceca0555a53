"""Replicate's HTTP API: `client` knows its endpoints, `transport` keeps to its limits. Never anything but GET.

`weights` asks the delivery hosts, which are no part of it, and never get the token.
"""

from audit.replicate import certificates as _first  # noqa: F401 - before anything else imports aiohttp
from audit.replicate.client import Replicate, connect
from audit.replicate.transport import Target, Timing

__all__ = ["Replicate", "Target", "Timing", "connect"]
