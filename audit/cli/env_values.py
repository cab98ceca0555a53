"""Values of variables and token files, as env files and hasty copying leave them.

`docker --env-file` and others keep quotes as part of a value; a person sees them in an editor and takes them for none.
What is found here is told before anything is asked, and never shown: it may be a secret.
"""

import re

from audit.errors import SettingsError

_QUOTES = tuple("\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb")
_LINE = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]*\s*=")
_UNFILLED = re.compile(r"\$\{?\w|\$\(")


def alone(text: str) -> str:
    """`text`, trimmed. Raises SettingsError, which never shows it, for what env files leave around a value."""
    text = text.strip()
    if text.startswith(_QUOTES):
        raise SettingsError(
            "has quotes around the value; they become part of it",
            "Remove them: docker's --env-file, Kubernetes and others don't.",
        )
    if _LINE.match(text):
        raise SettingsError("holds a whole line, NAME=value", "Write only the value, what comes after the =.")
    if _UNFILLED.match(text):
        raise SettingsError(
            "is the name of a variable that was not filled in", "Write the value itself: an env file fills in none."
        )
    return text


def why_no_token(text: str) -> str | None:
    """Why `text` cannot be sent as one: a header's value, which is neither several words nor beyond ASCII."""
    if re.match(r"(?:authorization\s*:|bearer\s|token\s)", text, re.IGNORECASE):
        return "it has a word of the Authorization header in front, which is put there anyway"
    if len(text.splitlines()) > 1:
        return "it has several lines"
    if not text.isascii():
        return "it contains characters outside ASCII"
    if text.endswith(_QUOTES):
        return "it ends with a quote"
    return None if re.fullmatch(r"[\x21-\x7e]+", text) else "it contains blanks or control characters"
