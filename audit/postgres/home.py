"""Where the user's own files are, as libpq finds it out."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def home_directory(environ: Mapping[str, str] = os.environ) -> Path | None:
    """HOME, else what the system knows of the user; None for a user id of which it knows nothing."""
    if home := environ.get("HOME"):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return None
