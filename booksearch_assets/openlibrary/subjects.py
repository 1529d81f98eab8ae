"""Which subject headings say that a book is fiction, is not, or is for children.

Subjects are an uncontrolled list: Library of Congress headings (`Tigers -- Fiction.`), booksellers' categories
(`Fiction / General`, `Children: Grades 4-6`), notes. A phrase here is a piece of a heading in lower case; `^` and `$`
tie it to the heading's start and end, so that all phrases of a rule are looked for as plain text in one pass.

Belongs here: the words. Does not: the order in which rules are tried and the other columns they need (`profiles`).
Sources: openlibrary/docs/ai/tag-system/debugging.md (biography wins over fiction; juvenile is a format), Open Library
issue 9522 ("fiction" may mean "about fiction"), the headings of real dumps.
"""

from __future__ import annotations

from dataclasses import dataclass

# Ends and starts a heading in a text of many; `judging` joins headings with it.
BOUNDARY = "\n"


@dataclass(frozen=True)
class SubjectRule:
    """A named set of phrases, any of which makes the rule fire."""

    name: str
    phrases: tuple[str, ...]

    def needles(self) -> tuple[str, ...]:
        """The phrases as plain text to look for among headings that stand between BOUNDARYs."""
        return tuple(phrase.replace("^", BOUNDARY).replace("$", BOUNDARY) for phrase in self.phrases)


# Formats and audiences, not topics: "Juvenile delinquency -- Fiction" and "Children of immigrants" are novels' topics.
JUVENILE = SubjectRule(
    "juvenile",
    (
        *(
            f"juvenile {form}"
            for form in ("fiction", "nonfiction", "non-fiction", "literature", "works", "audience")
        ),
        *(f"juvenile {form}" for form in ("poetry", "drama", "films", "humor", "sound recordings")),
        "fiction, juvenile",
        "^juvenile$",
        ": juvenile$",
    ),
)
CHILDREN = SubjectRule(
    "children",
    (
        *(f"children's {form}" for form in ("fiction", "literature", "stories", "books", "poetry", "plays")),
        *(
            f"children's {form}"
            for form in ("nonfiction", "non-fiction", "audience", "songs", "picture", "audio")
        ),
        *(f"^children's {ages}" for ages in ("4-8", "9-12", "baby", "all ages")),
        "^children: ",
        "^children's$",
        "picture books",
        "fiction for children",
        "stories for children",
        "books for children",
    ),
)
ABOUT_FICTION = SubjectRule(
    "about_fiction",
    (
        "history and criticism",
        # Only as the last word of a heading or below "fiction": "Authorship -- Fiction" is a novel about writing.
        *(f"{word}$" for word in ("technique", "authorship")),
        *(
            f"fiction{dash}{word}"
            for word in ("technique", "authorship")
            for dash in ("--", " -- ", ", ", " / ", " - ")
        ),
    ),
)
NONFICTION = SubjectRule("nonfiction", ("nonfiction", "non-fiction", "non fiction"))
# "Autobiographical fiction" and "Biographical fiction" are genres of fiction and hold none of these.
BIOGRAPHY = SubjectRule("biography", ("biography", "biographies", "memoir"))

FICTION_RULES = (
    SubjectRule("is_fiction", ("^fiction$",)),
    SubjectRule(
        "begins_with_fiction",
        ("^fiction,", "^fiction /", "^fiction/", "^fiction -", "^fiction:", "^fiction ("),
    ),
    SubjectRule("ends_with_fiction", (" fiction$",)),
    SubjectRule("fiction_subdivision", ("--fiction", "-- fiction")),
    SubjectRule(
        "fiction_genre",
        (
            *("science fiction", "fantasy fiction", "historical fiction", "romance fiction", "crime fiction"),
            *("^novels$", "^novel$", "^novela", "^novellas$", "^roman$"),
            *(
                "detective and mystery stories",
                "mystery fiction",
                "love stories",
                "adventure stories",
                "horror tales",
            ),
            *(
                "short stories",
                "ghost stories",
                "war stories",
                "western stories",
                "spy stories",
                "sea stories",
            ),
            *(
                "humorous stories",
                "suspense fiction",
                "thrillers (fiction)",
                "fiction in english",
                "alternative histories (fiction)",
            ),
        ),
    ),
)
# The prototype's rule: the letters anywhere among the headings, which takes "Nonfiction" for fiction.
CONTAINS_FICTION = SubjectRule("contains_fiction", ("fiction",))
CONTAINS_JUVENILE = SubjectRule("juvenile", ("juvenile",))
CONTAINS_CHILDREN = SubjectRule("children", ("children",))
