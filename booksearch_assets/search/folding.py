"""Texts as they are compared: without case, accents, punctuation and spacing.

Belongs here: the one rule by which titles, names, subjects and queries are the same words. Does not: finding them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"))
_NOT_WORDS = re.compile(r"[\W_]+")


@lru_cache(maxsize=100_000)
def folded(text: str) -> str:
    """The words of `text`, one space between them: "  L’Étranger: (a novel) " is "letranger a novel".

    Unicode compatibility forms, case and combining marks are folded; an apostrophe joins, other punctuation parts. A
    text of nothing but punctuation keeps it, lest all of them be equal.
    """
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _NOT_WORDS.sub(" ", plain).strip() or " ".join(plain.split())
