r"""Texts of a database that cannot become UTF-8: told apart in SQL, so that one of them ends no query.

A database of the encoding SQL_ASCII holds whatever bytes it was given, and some encodings have bytes that stand for no
character. The server refuses to send such a text, and with it the whole query. So where the encoding lets that happen,
each text is looked at by its bytes, and one that is none is read as `audit.model.text.BYTES` and what PostgreSQL's own
`encode(bytes, 'escape')` makes of it: `Ren\351`. In every other database nothing is added to the SQL. One in UTF8 has
such bytes where they got in past all checks; it is read anew with `CHECKED_UTF8` once that is seen.
"""

from audit.model.sql import literal
from audit.model.text import BYTES

CHECKED_UTF8 = "UTF8, checked"
"""In the place of an encoding: UTF8, and bytes may have got in that are none."""
_TAIL = "[89ab]."
_UTF8 = (  # the bytes of RFC 3629 in hexadecimal digits
    rf"^(?:[0-7].|(?:c[2-9a-f]|d.){_TAIL}|e0[ab].{_TAIL}|(?:e[1-9abcef]){_TAIL}{_TAIL}|ed[89].{_TAIL}"
    rf"|f0[9ab].{_TAIL}{_TAIL}|f[123]{_TAIL}{_TAIL}{_TAIL}|f48.{_TAIL}{_TAIL})*$"
)
_NO_ASCII = r"[^\x01-\x7f]"
WITHOUT_CHARACTER = {
    "LATIN3": "a5 ae be c3 d0 e3 f0",
    "ISO_8859_6": "a[1-35-9abef] b[0-9acde] c0 d[bcdef] f[3-9a-f]",
    "ISO_8859_7": "ae d2 ff",
    "ISO_8859_8": "a1 bf c. d[0-9a-e] f[bcf]",
    "WIN874": "8[1-46-9a-f] 9[089a-f] d[b-e] f[c-f]",
    "WIN1250": "81 83 88 90 98",
    "WIN1251": "98",
    "WIN1252": "8[1df] 90 9d",
    "WIN1253": "8[18acdef] 9[08acdef] aa d2 ff",
    "WIN1254": "8[1def] 9[0de]",
    "WIN1255": "8[1acdef] 9[0acdef] ca d[9a-f] f[bcf]",
    "WIN1257": "8[138ac] 9[08acf] a[15]",
    "WIN1258": "8[1adef] 9[0ade]",
}
"""Encodings of one byte a character -> bytes that PostgreSQL finds no character of UTF-8 for."""


def as_sent(text: str, encoding: str) -> str:
    """SQL for the SQL `text` as the server can send it from a database of this encoding, as PostgreSQL calls it."""
    # The bytes as they are: by the database's own encoding, or as they would be sent, which is not checked in UTF8.
    raw = f"textsend({text})" if encoding == CHECKED_UTF8 else f"convert_to({text}, {literal(encoding)})"
    if encoding in ("SQL_ASCII", CHECKED_UTF8):
        is_odd = f"encode({raw}, 'hex') !~ {literal(_UTF8)}"
    elif encoding in WITHOUT_CHARACTER:
        without = "|".join(WITHOUT_CHARACTER[encoding].split())
        is_odd = f"encode({raw}, 'hex') ~ {literal(f'^(?:..)*(?:{without})')}"
    else:
        return text
    if encoding != CHECKED_UTF8:  # most texts are ASCII, which is soon seen, but of broken characters
        is_odd = f"{text} ~ {literal(_NO_ASCII)} AND {is_odd}"
    return f"(CASE WHEN {is_odd} THEN {literal(BYTES)} || encode({raw}, 'escape') ELSE {text} END)"
