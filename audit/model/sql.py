r"""Names and texts as SQL writes them. Pure.

A literal is one line, whatever the text holds: what could end a literal or a line, or act on a reader, is spelled out
as an escape of E'...'. So it means the same whatever `standard_conforming_strings` says, and to psql as well.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LITERAL = r"NULL|E?'(?:[^']++|'')*+'"
"""Pattern of what `literal` writes, and of more than that: see `literal_value`."""
# Beside what `escape_controls` spells out: blanks that look like others, and what is not seen at all. A fixed list, as
# what counts as printable differs from one Python to the next, and a file that one has written must be one to all.
_SPELLED = re.compile(
    "[\x00-\x1f\\\\\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<comment>--[^\n]*|/\*(?:[^*/]|\*(?!/)|/(?!\*)|/\*(?:[^*]|\*(?!/))*\*/)*\*/)
    |(?P<string>[eE]'(?:[^'\\]|\\.|'')*+'|'(?:[^']|'')*+'|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    |(?P<name>"(?:[^"]|"")*+")
    |(?P<parameter>\$\d+)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<open>'|"|/\*|\$(?:[^\W\d]\w*)?\$)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_SHOWN = 40
"""Characters of a text that are shown where something is wrong in it."""
_KEY = r"(?:'(?:[^'\\]|'')*'|\d+)"
_JSON = re.compile(
    r"\(*\s*(?P<column>\"(?:[^\"]|\"\")+\"|[A-Za-z_][\w$]*)\s*\)*(?:::jsonb?)?\s*"
    rf"(?:(?P<steps>(?:->\s*{_KEY}\s*)*)->>\s*(?P<last>{_KEY})|\#>>\s*'\{{(?P<path>[\w$-]+(?:,[\w$-]+)*)\}}')\s*\)*"
)
_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPE = re.compile(r"\\(?:([\\nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_MEANT = {short[1]: char for char, short in _SHORT.items()}


def quoted(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def identifier(name: str) -> str:
    """`name` as SQL takes it, with quotes only where it needs them; a keyword gets them too."""
    plain = re.fullmatch("[a-z_][a-z0-9_]*", name) and not _KEYWORDS.fullmatch(name)
    return name if plain else quoted(name)


_KEYWORDS = re.compile(
    "all|analy[sz]e|and|any|array|asc?|asymmetric|both|case|cast|check|collate|column|constraint|create|current_(date|role"
    "|time|timestamp|user)|default|deferrable|desc|distinct|do|else|end|except|false|fetch|for|foreign|from|grant|group"
    "|having|in|initially|intersect|into|lateral|leading|limit|localtime|localtimestamp|not|null|offset|on|only|or|order"
    "|placing|primary|references|returning|select|session_user|some|symmetric|table|then|to|trailing|true|union|unique"
    "|user|using|variadic|when|where|window|with"
)


def unquoted(path: str) -> tuple[str, ...]:
    """The names in a path such as `"My Schema".table`, as SQL writes it, without quotes."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', path)
    return tuple(inside.replace('""', '"') or bare for inside, bare in parts)


def enclosed(sql: str) -> str:
    """SQL of somebody else's, to stand between brackets: a comment in it ends before them."""
    return f"\n{sql}\n" if "--" in sql else sql


class SqlFaultError(Exception):
    """What is wrong with a text of SQL, and where: the place counts characters from 0."""

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.what = what
        self.place = place


def tokens(sql: str) -> Iterator[re.Match[str]]:
    """The parts of a text of SQL that mean something to `checked` and `one_line`. Raises SqlFaultError."""
    place = 0
    while place < len(sql):
        match = _TOKEN.match(sql, place)
        assert match  # noqa: S101 - the last branch takes anything
        if match.lastgroup == "open":
            raise SqlFaultError(f"{match[0]} is not closed", place)
        yield match
        place = match.end()


def checked(sql: str) -> str:
    """One expression, condition or query as it can stand between brackets, without a semicolon behind it.

    Raises SqlFaultError for what PostgreSQL would take for the end of the brackets or for several statements, and for
    parameters, which nobody would give a value.
    """
    end = next((token.start() for token in tokens(sql) if token[0] == ";" and token.lastgroup == "other"), len(sql))
    meant = [token for token in tokens(sql) if token.lastgroup not in {"blank", "comment"}]
    if not meant or meant[0].start() == end:
        raise SqlFaultError("there is nothing in it", 0)
    behind = next((token for token in meant if token.start() > end), None)
    if behind:
        raise SqlFaultError("a second statement: one is all that can stand here", behind.start())
    parameter = next((token for token in meant if token.lastgroup == "parameter"), None)
    if parameter:
        raise SqlFaultError(f"{parameter[0]} is a parameter, which has no value here", parameter.start())
    _check_brackets(meant)
    return sql[:end].strip()


def _check_brackets(meant: Iterable[re.Match[str]]) -> None:
    opened: list[int] = []
    for token in meant:
        if token[0] == "(":
            opened.append(token.start())
        elif token[0] == ")":
            if not opened:
                raise SqlFaultError("this bracket was never opened", token.start())
            opened.pop()
    if opened:
        raise SqlFaultError("this bracket is not closed", opened[-1])


def first_word(sql: str) -> str:
    """In lower case, brackets in front of it left out; "" where there is none."""
    for token in tokens(sql):
        if token.lastgroup == "word":
            return token[0].lower()
        if token.lastgroup not in {"blank", "comment"} and token[0] != "(":
            return ""
    return ""


def place_in(text: str, place: int) -> str:
    """Where in a text something is, for a person: ", line 2, column 5, at `FROM x`"."""
    before = text[:place]
    line, column = before.count("\n") + 1, place - (before.rfind("\n") + 1) + 1
    rest = text[place:].partition("\n")[0].strip()
    at = f", at `{rest[:_SHOWN]}{'…' if len(rest) > _SHOWN else ''}`" if rest else ""
    return (f", line {line}, column {column}" if "\n" in text else f", column {column}") + at


class JsonPath(NamedTuple):
    """A column of JSON, and the keys that lead to a value in it."""

    column: str
    keys: tuple[str, ...]


def json_path(sql: str) -> JsonPath | None:
    """What an expression such as `data->'model'->>'version'` or `data #>> '{model,version}'` reads, as text."""
    match = _JSON.fullmatch(sql.strip())
    if match is None:
        return None
    column = match["column"]
    column = column[1:-1].replace('""', '"') if column.startswith('"') else column.lower()
    if match["path"] is not None:
        return JsonPath(column, tuple(match["path"].split(",")))
    steps = (*re.findall(r"->\s*('(?:[^']|'')*'|\d+)", match["steps"] or ""), match["last"])
    return JsonPath(column, tuple(step.strip("'").replace("''", "'") for step in steps))


def one_line(sql: str) -> str:
    """The same SQL on one line, without comments: for a person to paste. What is in quotes stays as it is."""
    parts = [""]
    for token in tokens(sql):
        if token.lastgroup not in {"blank", "comment"}:
            parts.append(token[0])
        elif parts[-1] != " ":
            parts.append(" ")
    return "".join(parts).strip()


def folded(expression: str, trimmed: str) -> str:
    """SQL for a text as words and model ids are compared: without `trimmed` around it, A to Z in lower case."""
    return f'lower(btrim({expression}, {trimmed}) COLLATE "C")'


def literal(text: str | None) -> str:
    """`text` as a literal without a type, so that it suits a column of any; NULL for None."""
    if text is None:
        return "NULL"
    doubled = text.replace("'", "''")
    spelled = _SPELLED.sub(_spell, doubled)
    return f"'{doubled}'" if spelled == doubled else f"E'{spelled}'"


def literal_value(written: str) -> str | None:
    """What `literal` has written as `written`. Other literals come out as something that is not written so."""
    if written == "NULL":
        return None
    text = written[written.index("'") + 1 : -1].replace("''", "'")
    return _ESCAPE.sub(_unspell, text) if written[0] == "E" else text


def _spell(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    spelled = f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(char) or spelled


def _unspell(match: re.Match[str]) -> str:
    short, *numbers = match.groups()
    code = int(next(filter(None, numbers), "0"), 16)
    return _MEANT[short] if short else chr(code) if code < 0x110000 else ""
