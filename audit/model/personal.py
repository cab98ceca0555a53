"""Finds a person's e-mail or name in a text, however it is written there.

Addresses turn up percent-encoded in URLs. Names turn up in ids and trigger words as products make these from them: in
another Unicode form, without accents, in lower case, joined, or with other characters between the words.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

_AT = r"(?:@|\uff20|\ufe6b|%(?:25)*40|&#0*64;|&#x0*40;|\\u0040)"
_APART = r"\s@\uff20\ufe6b,;:<>()\[\]\"'/?&=`|\\"
_PART = rf"(?:(?!%(?:25)*40|&#)[^{_APART}])++"
_ADDRESS = re.compile(f"(?<![^{_APART}]){_PART}{_AT}{_PART}", re.IGNORECASE)
_MAY_HOLD_ADDRESS = re.compile(_AT, re.IGNORECASE)
_ENCODED = re.compile(
    r"(?:%(?:25)*[0-9A-Fa-f]{2})+|\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})|&(?:#\w{1,8}|[A-Za-z]{2,31});"
)
"""Characters as URLs, JSON and HTML write them."""
_CUT = re.compile(r"… \([\d,]+ more characters\)")
"""As `shortened` marks it."""
_SHORTEST_CUT = 3
"""Letters of a name that are masked where the rest is cut off."""
_WIDEST_GAP = 3
"""Characters that may stand between two words of a name; a percent-encoded one counts as what it stands for."""
_SHORT = 6
"""Letters. A name of one word, or of fewer letters, counts only as a word of its own: "Kim" is not in "kimono"."""
_SPELLED_OUT = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"}
_BASE = {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i", "ð": "d", "þ": "th"}
"""Letters that Unicode does not take apart."""


def masked_address(address: str) -> str:
    """`anna@example.com` as `a***@***`: enough to tell two rows apart at a glance, too little to write to."""
    return address[:1] + ("***@***" if _MAY_HOLD_ADDRESS.search(address) else "***")


def without_addresses(text: str) -> str:
    """`text` with everything in it that has the form of an e-mail address masked."""
    if "@" not in text and not _MAY_HOLD_ADDRESS.search(text):
        return text
    return _ADDRESS.sub(lambda match: masked_address(match[0]), text)


class _Letter(NamedTuple):
    """A letter or digit as it is compared, and the characters of the text that stand for it."""

    letter: str
    begin: int
    end: int
    place: int
    """Of the character, counted without marks, and with what is percent-encoded as one each."""


class Personal:
    """Texts of one person."""

    def __init__(self, texts: Iterable[str]) -> None:
        names = {form for text in texts if "***" not in text for form in _forms(text)}  # and not what is masked
        self._names = [name for name in names if any(name)]
        self._last_word_first = {(*name[-1:], *name[:-1]) for name in self._names if len(name) > 1}

    def masked(self, text: str, mask: str) -> str:
        """`text` with `mask` in the place of each of the person's texts."""
        if not self._names:
            return text
        plain = text.isascii() and not ("%" in text or "\\" in text or "&" in text)
        if plain:  # as nearly every text is: whole words are then whole in it
            lower = text.lower()
            if not any(all(word in lower for word in name) for name in self._names):
                return text
        letters = _letters(text)
        spans = [span for name in self._names for span in _found(name, letters)]
        for begin, end in [span for name in self._last_word_first for span in _found(name, letters)]:
            if all(end <= first or last <= begin for first, last in spans):  # "Anna Schmidt <anna@..." has both orders
                spans.append((begin, end))
        for cut in _CUT.finditer(text):
            before = [each for each in letters if each.end <= cut.start()]
            spans += (span for name in self._names for span in _begun(name, before, cut.start()))
        for begin, end in reversed(_apart(spans)):
            text = f"{text[:begin]}{mask}{text[end:]}"
        return text


def _forms(text: str) -> Iterator[tuple[str, ...]]:
    """What may stand for `text`, as words: all of it, and of an address what is before the @."""
    yield from _words(text)
    before, at, _ = text.partition("@")
    if at:
        yield from (words for words in _words(before) if _is_specific(words))


def _words(text: str) -> Iterator[tuple[str, ...]]:
    """The words of `text` in the letters that are compared, without accents and as they are spelled out."""
    if text.isascii():
        yield tuple(re.findall("[a-z0-9]+", text.lower()))
        return
    composed = unicodedata.normalize("NFC", text).casefold()
    for form in (composed, "".join(_SPELLED_OUT.get(char, char) for char in composed)):
        words = re.split(r"[\W_]+", form)
        yield tuple(word for each in words if (word := "".join(map(_folded, each))))


@lru_cache(maxsize=4096)
def _folded(char: str) -> str:
    """The letters and digits of `char`, without case and accents."""
    plain = unicodedata.normalize("NFKD", char).casefold()
    return "".join(_BASE.get(each, each) for each in plain if each.isalnum())


def _decoded(text: str) -> str:
    """What encoded characters stand for, also where they are percent-encoded twice."""
    if text[0] == "&":
        return html.unescape(text)
    if text[0] == "\\":
        return chr(int(text.lstrip("\\")[1:], 16))
    encoded = bytes.fromhex(re.sub("%(?:25)*", "", text))
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _letters(text: str) -> list[_Letter]:
    letters: list[_Letter] = []
    place = 0
    encoded = {match.start(): match for match in _ENCODED.finditer(text)}
    position = 0
    while position < len(text):
        match = encoded.get(position)
        end = match.end() if match else position + 1
        for char in _decoded(match[0]) if match else text[position]:
            if unicodedata.category(char) not in {"Mn", "Cf"}:
                place += 1
            elif letters and letters[-1].place == place:  # an accent goes with its letter
                letters[-1] = letters[-1]._replace(end=end)
            letters += (_Letter(letter, position, end, place) for letter in _folded(char))
        position = end
    return letters


def _found(name: tuple[str, ...], letters: list[_Letter]) -> Iterator[tuple[int, int]]:
    """Where `name` stands: its words whole, next to each other or with a few other characters between."""
    wanted, text = "".join(name), "".join(each.letter for each in letters)
    begins = {sum(map(len, name[:number])) for number in range(1, len(name))}
    at = text.find(wanted)
    while at >= 0:
        found = letters[at : at + len(wanted)]
        gaps = (later.place - earlier.place for earlier, later in pairwise(found))
        fits = all(gap <= (_WIDEST_GAP + 1 if number in begins else 1) for number, gap in enumerate(gaps, 1))
        if fits and (_is_specific(name) or _stands_alone(letters, at, len(wanted))):
            begin, end = found[0].begin, found[-1].end
            yield begin, end
        at = text.find(wanted, at + 1)


def _begun(name: tuple[str, ...], letters: Sequence[_Letter], cut: int) -> Iterator[tuple[int, int]]:
    """Where a `name` begins that is cut off at `cut`, behind `letters`."""
    wanted, end = "".join(name), "".join(each.letter for each in letters)
    for length in range(min(len(wanted) - 1, len(letters)), _SHORTEST_CUT - 1, -1):
        first = letters[len(letters) - length] if end.endswith(wanted[:length]) else None
        if first and _stands_alone(letters, len(letters) - length, length):
            yield first.begin, cut
            return


def _is_specific(name: tuple[str, ...]) -> bool:
    return len(name) > 1 and sum(map(len, name)) >= _SHORT


def _stands_alone(letters: Sequence[_Letter], at: int, length: int) -> bool:
    """Whether no letter goes on with the word on either side; after a number no digit does."""
    first, last = letters[at], letters[at + length - 1]
    before = letters[at - 1] if at and letters[at - 1].place >= first.place - 1 else None
    after = letters[at + length] if at + length < len(letters) else None
    after = after if after and after.place <= last.place + 1 else None
    return not (before and _goes_on(before, first)) and not (after and _goes_on(last, after))


def _goes_on(one: _Letter, other: _Letter) -> bool:
    """Two digits, or two letters of a script that sets words apart."""
    if one.letter.isdigit() or other.letter.isdigit():
        return one.letter.isdigit() and other.letter.isdigit()
    return one.letter.upper() != one.letter


def _apart(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`spans` in order, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found
