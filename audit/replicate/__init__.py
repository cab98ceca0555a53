"""Replicate's HTTP API: `client` knows the questions, `transport` the limits. Never anything but GET."""

from audit.replicate.client import Replicate, connect
from audit.replicate.transport import Target, Ticking

__all__ = ["Replicate", "Target", "Ticking", "connect"]
