r"""Names and texts as SQL writes them. Pure.

A literal is one line, whatever the text holds: what could end a literal or a line, or act on a reader, is spelled out
as an escape of E'...'. So it means the same whatever `standard_conforming_strings` says, and to psql as well.
"""

import re

LITERAL = r"NULL|E?'(?:[^']++|'')*+'"
"""Pattern of what `literal` writes, and of more than that: see `literal_value`."""
# Beside what `escape_controls` spells out: blanks that look like others, and what is not seen at all. A fixed list, as
# what counts as printable differs from one Python to the next, and a file that one has written must be one to all.
_SPELLED = re.compile(
    "[\x00-\x1f\\\\\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPE = re.compile(r"\\(?:([\\nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_MEANT = {short[1]: char for char, short in _SHORT.items()}


def quoted(name: str) -> str:
    """`name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(path: str) -> tuple[str, ...]:
    """The names in a path such as `"My Schema".table`, as SQL writes it, without quotes."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', path)
    return tuple(inside.replace('""', '"') or bare for inside, bare in parts)


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
