"""Messy dump lines, made from whole numbers: the shapes that real records have, in combinations that they may not.

One number makes one line, so that hypothesis can hold hundreds of lines in one example and drop those that do not
matter. Keys, works and authors come from small sets, so that revisions, redirects and joins meet.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

YEARS = (1999, 2009, 2010, 2014, 2015, 2016, 2019, 2020, 2024, 2025, 2026, 2049, 9999)
HEADINGS = (
    *(
        "Fiction",
        "fiction.",
        "FICTION / General",
        "Fiction, romance",
        "Fiction - Historical",
        "Fiction--History and criticism",
    ),
    *(
        "Tigers -- Fiction.",
        "Tigers--Fiction",
        "Science fiction",
        "Science Fiction & Fantasy",
        "Nonfiction",
        "Juvenile Nonfiction",
    ),
    *(
        "Juvenile fiction",
        "Juvenile delinquency -- Fiction",
        "Children of immigrants",
        "Children's fiction",
        "Children\u2019s stories",
    ),
    *(
        "Children: Grades 4-6",
        "Authorship -- Fiction",
        "Fiction--Authorship",
        "Fiction -- Technique",
        "Biography",
        "Memoirs",
    ),
    *(
        "Autobiographical fiction",
        "Detective and mystery stories",
        "Novels",
        "Graphic novels",
        "Love stories.",
        "History",
        "",
    ),
    *(
        " Fiction \n",
        "Fiction\nSports",
        "fic\ttion",
        "\u0416\u0435\u043d\u0449\u0438\u043d\u044b",
        "\u0130stanbul -- Fiction",
        "..",
        "Fiction..",
        "\ud800 Fiction",
    ),
)
DATES = (
    *(
        "c{}",
        "[{}?]",
        "{}",
        "July {}",
        "Printed 1234, {}",
        "{}0412",
        "{}1332",
        "{}-{}",
        "x{}x",
        "1{}",
        "{}1",
        "12/04/{}",
    ),
    *(
        "20 dezembro {}",
        "5780 [{}]",
        "195X",
        "xxxx",
        "[n.d.]",
        "",
        "19--",
        "\u0662\u0660\u0661\u0669",
        "0999",
        "1400",
        "1399",
    ),
)
PAGINATIONS = (
    "vi, {} p.",
    "{} p. ;",
    "1 v. (unpaged)",
    "p. cm.",
    "2 v. ({} p.)",
    "49999",
    "50000 p.",
    "000{}",
    "123456, {}p",
    "",
    "x",
)
PAGE_COUNTS = (99, 100, 101, 320)
WORK_COUNT, AUTHOR_COUNT, EDITION_COUNT = 40, 25, 300


def edition_line(number: int) -> bytes:
    draw = _Draw(number)
    fields = draw.some(
        title=lambda: draw.text(
            "A  title\twith\n spaces",
            "\u0412\u043e\u0439\u043d\u0430",
            "",
            "   ",
            1984,
            "T\ud83d",
            "T\ud83d\ude00",
        ),
        subtitle=lambda: draw.text("a novel", " a\u00a0novel "),
        works=lambda: draw.listed([draw.reference("works", "W", WORK_COUNT)]),
        authors=lambda: draw.listed(draw.references("authors", "A", AUTHOR_COUNT)),
        publish_date=lambda: draw.text(
            *(d.format(draw.choice(*YEARS), draw.choice(*YEARS)) for d in DATES), 2015, 20150101
        ),
        number_of_pages=lambda: draw.number(*PAGE_COUNTS),
        pagination=lambda: draw.text(*(p.format(draw.choice(*PAGE_COUNTS)) for p in PAGINATIONS), 250),
        isbn_10=lambda: draw.listed([draw.choice("0-8014-2105-2", "080442957X", " ", 804429573, None)]),
        isbn_13=lambda: draw.listed([draw.choice("978-0-8044 2957-3", "9780804429573", "-", None)]),
        covers=lambda: draw.listed([draw.number(12, -1, 0) for _ in range(draw.choice(1, 1, 2, 3))]),
        genres=lambda: draw.listed([draw.choice("Fiction.", "Biography.", "Novel", "")]),
    )
    if draw.chance(0.9):
        fields["languages"] = draw.listed([draw.language() for _ in range(draw.choice(1, 1, 1, 2))])
    if draw.chance(0.7):
        fields["subjects"] = draw.headings()
    return draw.line("edition", "books", f"OL{draw.below(EDITION_COUNT)}M", fields)


def work_line(number: int) -> bytes:
    draw = _Draw(number)
    key = f"OL{draw.below(WORK_COUNT)}W"
    if draw.chance(0.25):
        return draw.line("redirect", "works", key, {"location": draw.location("works", "W", WORK_COUNT)})
    authors = [
        {"type": draw.choice("/type/author_role", {"key": "/type/author_role"}, None), "author": reference}
        for reference in draw.references("authors", "A", AUTHOR_COUNT)
    ]
    fields = draw.some(authors=lambda: draw.listed(authors), subjects=draw.headings)
    return draw.line("work", "works", key, fields)


def author_line(number: int) -> bytes:
    draw = _Draw(number)
    key = f"OL{draw.below(AUTHOR_COUNT)}A"
    if draw.chance(0.15):
        return draw.line(
            "redirect", "authors", key, {"location": draw.location("authors", "A", AUTHOR_COUNT)}
        )
    fields = draw.some(
        name=lambda: draw.text(f"Author {draw.below(9)}", " ", ""), personal_name=lambda: draw.text("P. Name")
    )
    return draw.line("author", "authors", key, fields)


class _Draw:
    def __init__(self, number: int) -> None:
        self._random = Random(number)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def choice(self, *options: Any) -> Any:
        return options[self.below(len(options))]

    def some(self, **fields: Any) -> dict[str, Any]:
        """Most of the fields, and now and then one that holds what it never should."""
        found = {name: make() for name, make in fields.items() if self.chance(0.75)}
        if found and self.chance(0.1):
            found[self.choice(*found)] = self.choice(
                None, [], {}, [None], True, -1, 0.5, 1e300, 10**30, "", [[]], [{}], {"key": 1}
            )
        return found

    def text(self, *options: Any) -> Any:
        value = self.choice(*options)
        return self.choice(
            value, value, value, {"type": "/type/text", "value": value}, {"type": "/type/text"}
        )

    def number(self, *usual: int) -> Any:
        value = self.choice(*usual)
        others = (
            str(value),
            float(value),
            f" {value} ",
            f"{value} p.",
            value + 0.5,
            None,
            2**31,
            2**63,
            2**70,
            True,
            f"-{value}",
        )
        return value if self.chance(0.8) else self.choice(*others)

    def listed(self, values: list[Any]) -> Any:
        return self.choice(values, values, values, values, [*values, None], values[0] if values else None, [])

    def headings(self) -> Any:
        values = [self.choice(*HEADINGS) for _ in range(self.choice(1, 1, 2, 2, 3, 5))]
        return self.listed([self.text(v) if self.chance(0.1) else v for v in values])

    def language(self) -> Any:
        code = self.choice("eng", "eng", "eng", "eng", "fre", "ger")
        return self.choice(
            {"key": f"/languages/{code}"},
            {"key": f"/languages/{code}"},
            f"/l/{code}",
            code,
            {"key": None},
            None,
        )

    def reference(self, folder: str, letter: str, limit: int) -> Any:
        key = f"/{folder}/OL{self.below(limit)}{letter}"
        return self.choice(
            {"key": key}, {"key": key}, {"key": key}, key, {"author": {"key": key}}, {"author": key}, {}, None
        )

    def references(self, folder: str, letter: str, limit: int) -> list[Any]:
        return [self.reference(folder, letter, limit) for _ in range(self.choice(0, 1, 1, 2, 3))]

    def location(self, folder: str, letter: str, limit: int) -> Any:
        return self.choice(*[f"/{folder}/OL{self.below(limit)}{letter}"] * 9, None)

    def line(self, kind: str, folder: str, key: str, fields: dict[str, Any]) -> bytes:
        revision = self.choice("1", "2", "3", "3", "12", "x", "", str(2**40))
        modified = self.choice("2020-01-01T00:00:00.000000", "2019-06-30T12:34:56.789012", "")
        fields = {"key": f"/{folder}/{key}", "revision": self.choice(1, 4, "4", None), **fields}
        payload = json.dumps(fields).encode()
        if self.chance(0.06):
            payload = self.choice(
                *(
                    payload[: self.below(len(payload))],
                    payload + b"}",
                    b"not json",
                    b"[1]",
                    b"",
                    b"null",
                    b"{}",
                    b'{"a":"\xff"}',
                ),
                *(
                    payload.replace(b'"', b"'"),
                    b'{"title": NaN}',
                    b'{"title": 1e999}',
                    b'{"pages": ' + b"9" * 5000 + b"}",
                ),
            )
        name = self.choice(*[f"/type/{kind}"] * 40, "/type/delete", "")
        path = self.choice(*[f"/{folder}/{key}"] * 40, f"/b/{key}", "", "/")
        line = b"\t".join((name.encode(), path.encode(), revision.encode(), modified.encode(), payload))
        return self.choice(
            *[line] * 60, line[:30], b"", line + b"\r", b"\xff" + line, line.replace(b"OL", b"\xffL", 1)
        ).replace(b"\n", b"")
