"""What the runner of a CI job obeys in a log, and texts that would like to be obeyed."""

import re
from typing import NamedTuple


class Heard(NamedTuple):
    """A workflow command that the runner obeys."""

    name: str
    properties: dict[str, str]
    data: str


_COMMANDS = (
    "error|warning|notice|debug|group|endgroup|add-mask|set-output|save-state|set-env|add-path|stop-commands|echo"
)
_LINE = re.compile(rf"\s*::({_COMMANDS})(?: ([^:]*))?::(.*)", re.IGNORECASE | re.DOTALL)
OLD_SYNTAX = re.compile(rf"##\[({_COMMANDS})(?: ([^\]]*))?\](.*)", re.IGNORECASE | re.DOTALL)


def unescaped(text: str, *, within: str = "") -> str:
    for char in ("\r", "\n", *within, "%"):
        text = text.replace(f"%{ord(char):02X}", char)
    return text


def heard(log: str) -> list[Heard]:
    """What the runner takes for commands in `log`, and obeys."""
    found: list[Heard] = []
    token: str | None = None
    for line in re.split(r"\r\n|\r|\n", log):
        if token is not None:
            token = None if line.strip() == f"::{token}::" else token
            continue
        match = _LINE.match(line) or OLD_SYNTAX.search(line)
        if match is None:
            continue
        if match[1] == "stop-commands":
            token = match[3]
            continue
        pairs = (pair.split("=", 1) for pair in (match[2] or "").split(",") if "=" in pair)
        properties = {name: unescaped(value, within=":,") for name, value in pairs}
        found.append(Heard(match[1], properties, unescaped(match[3])))
    return found


TRICKS = [
    "\n::set-output name=x::y",
    "\r\n::stop-commands::x",
    "::error::x",
    "##[add-mask]x",
    "a,b:c=d,title=x",
    "%0A::set-env name=PATH::x",
    "%250A %25",
    "\u2028::error::x",
    "\r::error::x",
    "  \u3000\t::warning file=a::x",
    "\x1b[1m::error::x",
    "\u200b::error::x",
    "::add-mask::e",
    "a ##[group]b",
    "##[error]",
    "####[error]x",
    "##vso[task.setvariable variable=x]y",
    "##teamcity[buildStop comment='x']",
    "\x1b[0Ksection_start:1:x\r\x1b[0K",
]
_ELSEWHERE = re.compile(r"##(?:vso|teamcity)\[|\x1b\[0K", re.IGNORECASE)


def obeyed(log: str) -> list[object]:
    """What any runner would obey in `log`."""
    return [*heard(log), *_ELSEWHERE.findall(log)]
