"""Texts that a database may hold and that would act on a reader, a browser, a spreadsheet or a terminal."""

HTML = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title></style></textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- --><![CDATA[ ]]>&lt;b&gt;&amp;",
    '" autofocus onfocus=alert(1) x="',
    "`onload=alert(1)`",
]
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =cmd|'/c calc'!A0",
    "\u3000=1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "\u22121",
]
CONTROLS = [
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31mred",
    "\x7f\x85",
    "a\u202eb\u2066c\u2069d\u200e\u200f\u061c",
    "line\u2028two\u2029three",
    "bell\x07 back\x08",
    "one\r\ntwo\nthree",
    "\ufeffbom",
]
PLANES = ["".join(chr(plane * 0x10000 + 0x0FFF + step) for step in (1, 2, 0x1000)) for plane in range(17)]
LONG = ["x" * 100_000, "<b>" * 30_000, "\U0001f600" * 40_000, '="' * 20_000]
QUOTES = ['He said "hi", twice', "a;b,c", "it's", "\\", '""', ""]
HOSTILE = [*HTML, *FORMULAS, *CONTROLS, *PLANES, *LONG, *QUOTES]


def ids(texts: list[str]) -> list[str]:
    """Short and readable names for table cases."""
    return [ascii(text[:12]).strip("'\"") + f"-{number}" for number, text in enumerate(texts)]
