"""Words of the sample world: titles in thirteen languages, names, publishers, subject headings.

Belongs here: word lists and the functions that put a title or a name together. Does not: which book gets
which (`world`), or what a cover shows (`scenes`). No list holds a word for a motif, so that a title names its
cover's motif only where `world` asks for it, and a search by subject is a real test.
"""

from __future__ import annotations

from typing import NamedTuple

from booksearch_assets.sample.draws import Draws

ADJECTIVES = (
    "Last", "Silent", "Hidden", "Broken", "Lost", "Quiet", "Bitter", "Distant", "Burning", "Hollow", "Second",
    "Long", "Borrowed", "Crooked", "Secret", "Wild", "Forgotten", "Early", "Careful", "Restless", "Unfinished",
    "Ordinary", "Invisible", "Perfect", "Reluctant", "Stolen", "Final", "Gentle", "Patient", "Seventh",
)  # fmt: skip
HEADS = (
    "Winter", "Daughter", "Summer", "Tenant", "Garden", "Shadow", "Song", "Art", "Keeper", "Memory", "Hour",
    "Language", "History", "Silence", "Children", "Sister", "Kingdom", "Promise", "Weight", "Edge", "Map",
    "Secret", "Year", "Letter", "Inheritance", "Colour", "Fall", "Road", "Room", "Theory", "Wife", "Stranger",
    "Orchard", "Voyage", "Testament", "Harvest", "Apprentice", "Widow", "Archive", "Confession",
)  # fmt: skip
TAILS = (
    "Glass", "Ash", "Salt", "Smoke", "Water", "Stone", "Bone", "Dust", "Honey", "Iron", "Silver", "Light",
    "Sorrow", "Mercy", "Thieves", "Strangers", "Angels", "Kings", "Small Things", "Lost Causes", "Forgetting",
    "Rain", "Thunder", "Lies", "Longing", "Paper", "Snow", "Fire", "Tomorrow", "Autumn", "Grace", "Exile",
)  # fmt: skip
PLACES = (
    "Lisbon", "Harrow Street", "Alder Bay", "Prague", "the North", "Marlow", "Trieste", "Savannah", "the Moor",
    "Galway", "Nineveh", "Cedar Lane", "Odessa", "the Valley", "Kyoto", "Tangier", "Wren Hill", "the Border",
)  # fmt: skip
DOINGS = (
    "Waiting for",
    "Leaving",
    "Remembering",
    "Beyond",
    "A Year in",
    "Before",
    "Letters from",
    "Return to",
)
# Title shapes that carry the cover's motif, for the share of books that say it.
MOTIF_SHAPES = (
    "The {motif}", "The {adjective} {motif}", "The {motif} of {tail}", "The {motif} and the {head}",
    "{motif} of {tail}", "A {motif} in {place}", "The {head} of the {motif}",
)  # fmt: skip

# language -> (heads, joiner, tails): any head fits any tail, so that no grammar is needed.
FOREIGN: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "spa": (("La sombra", "El jardín", "La memoria", "El último verano", "La hija", "El silencio"), " ", ("del invierno", "de los ángeles", "de la niña", "del océano", "sin nombre", "de ayer")),
    "fre": (("L'été", "La mémoire", "Le silence", "La fille", "L'héritage", "Les enfants"), " ", ("des étrangers", "de l'hiver", "sans retour", "du désert", "oublié", "d'une nuit")),
    "ger": (("Der Garten", "Die Tochter", "Das Schweigen", "Der letzte Sommer", "Die Straße", "Das Gedächtnis"), " ", ("der Bücher", "des Königs", "über München", "der Kälte", "ohne Rückkehr", "im Süden")),
    "ita": (("La città", "L'ombra", "Il silenzio", "La figlia", "L'estate", "La casa"), " ", ("del mare", "di cenere", "dell'inverno", "perduta", "senza età", "degli altri")),
    "por": (("O silêncio", "A memória", "O jardim", "A última estação", "O coração", "A rua"), " ", ("das águas", "de inverno", "sem fim", "dos irmãos", "de amanhã", "da solidão")),
    "rus": (("Тень", "Дочь", "Молчание", "Последнее лето", "Дом", "Память"), " ", ("зимы", "чужого города", "без имени", "у моря", "старого сада", "ветра")),
    "jpn": (("冬", "海", "記憶", "夏", "少女", "沈黙"), "の", ("庭", "手紙", "果て", "影", "約束", "街")),
    "chi": (("冬天", "故乡", "最后", "江南", "沉默", "春天"), "的", ("女儿", "河流", "秘密", "夏天", "房间", "城")),
    "kor": (("겨울", "바다", "여름", "침묵", "기억", "어머니"), "의 ", ("정원", "편지", "그림자", "약속", "끝", "도시")),
    "ara": (("ظل", "بيت", "ذاكرة", "ابنة", "صمت", "مدينة"), " ", ("الشتاء", "البحر", "الغريب", "الريح", "النسيان", "الماء")),
    "heb": (("צל", "בית", "זיכרון", "שתיקת", "ילדי", "גן"), " ", ("החורף", "הים", "הזרים", "הרוח", "האבן", "הקיץ")),
    "gre": (("Η σκιά", "Ο κήπος", "Η σιωπή", "Το σπίτι", "Η μνήμη", "Το γράμμα"), " ", ("του χειμώνα", "της θάλασσας", "των ξένων", "του ανέμου", "της πόλης", "χωρίς όνομα")),
    "hin": (("सर्दी", "समुद्र", "गाँव", "पिता", "शहर", "मौन"), " की ", ("छाया", "कहानी", "याद", "बेटी", "रात", "भाषा")),
}  # fmt: skip

PLAIN_TOPICS = (
    ("Statistics", "Regression Analysis", "Linear models (Statistics)"), ("Law", "Contract Law", "Contracts"),
    ("Cooking", "Everyday Cooking", "Cookery"), ("History", "A Short History of Trade", "Commerce"),
    ("Computers", "Database Systems", "Database management"), ("Medical", "Clinical Nursing", "Nursing"),
    ("Business & Economics", "Strategic Management", "Management"), ("Science", "Organic Chemistry", "Chemistry"),
    ("Religion", "Commentary on Romans", "Bible"), ("Education", "Teaching Reading", "Reading"),
)  # fmt: skip

GIVEN = (
    "Anna", "Brian", "Chloé", "David", "Elena", "Frank", "Grace", "Henrik", "Irène", "James", "Kavita", "Lars",
    "Maria", "Noël", "Olga", "Patrick", "Quentin", "Rosa", "Søren", "Teresa", "Ursula", "Victor", "Wanda",
    "Xavier", "Yasmin", "Zoë", "M. J.", "T. R.", "Łucja", "Jun",
)  # fmt: skip
FAMILY = (
    "Abbott", "Barnes", "Castellanos", "Díaz", "Eriksson", "Fischer", "Ferrante", "García", "Hoffmann", "Ivanova",
    "Jørgensen", "Kowalski", "Lindqvist", "Müller", "Novák", "O'Brien", "Petrov", "Quinn", "Rossi", "Sørensen",
    "Tanaka", "Underhill", "Vance", "Whitlock", "Yamamoto", "Zielińska", "de la Cruz", "St. Clair", "Brontë-Hale",
    "Ashworth", "Mbeki", "Okafor", "Nguyễn", "Şahin",
)  # fmt: skip
NATIVE_NAMES = ("Иван Соколов", "村田 恵子", "王小明", "김서연", "نجيب سالم", "Γιώργος Παππάς", "דוד לוי", "अमित शर्मा")  # fmt: skip

PUBLISHERS = (
    "Harbour & Lane", "Northlight Press", "Penhallow", "Blackwood House", "Independently Published", "Créations Éditions",
    "Meridian Books", "Tallis & Co.", "Saltmarsh", "Createspace Independent Publishing Platform", "Old Mill Press",
)  # fmt: skip


class Heading(NamedTuple):
    """How catalogues name a motif: the topic in the plural, and genre headings that go with it."""

    topic: str
    genres: tuple[str, ...]


_FANTASY = ("Fiction, fantasy, general", "Fantasy fiction", "Magic -- Fiction")
_SCIENCE = ("Fiction, science fiction, general", "Science fiction", "American Science Fiction And Fantasy")
_CRIME = (
    "Fiction, mystery & detective, general",
    "Detective and mystery stories",
    "Fiction, thrillers, general",
)
_SEA = ("Sea stories", "Fiction, sea stories", "Adventure stories")
_LOVE = ("Fiction, romance, general", "Love stories", "Fiction, romance, contemporary")
_GOTHIC = ("Ghost stories", "Horror tales", "Fiction, horror")
_PAST = ("Fiction, historical, general", "Historical fiction", "Fiction, war & military")
_LIFE = ("Fiction, general", "Domestic fiction", "Fiction, family life")
HEADINGS: dict[str, Heading] = {
    "dragon": Heading("Dragons", _FANTASY), "castle": Heading("Castles", _FANTASY), "ship": Heading("Ships", _SEA),
    "lighthouse": Heading("Lighthouses", _SEA), "wolf": Heading("Wolves", _FANTASY), "rose": Heading("Roses", _LOVE),
    "skull": Heading("Skull", _GOTHIC), "rocket": Heading("Space flight", _SCIENCE),
    "planet": Heading("Life on other planets", _SCIENCE), "crown": Heading("Kings and rulers", _PAST),
    "sword": Heading("Swordsmen", _FANTASY), "candle": Heading("Candles", _GOTHIC),
    "city": Heading("City and town life", _LIFE), "train": Heading("Railroad travel", _CRIME),
    "tree": Heading("Trees", _LIFE), "house": Heading("Dwellings", _GOTHIC), "cat": Heading("Cats", _CRIME),
    "owl": Heading("Owls", _FANTASY), "raven": Heading("Ravens", _GOTHIC), "horse": Heading("Horses", _PAST),
    "whale": Heading("Whaling", _SEA), "butterfly": Heading("Butterflies", _LOVE), "key": Heading("Locks and keys", _CRIME),
    "book": Heading("Books and reading", _LIFE), "clock": Heading("Clocks and watches", _CRIME),
    "hourglass": Heading("Time travel", _SCIENCE), "bridge": Heading("Bridges", _LIFE),
    "balloon": Heading("Balloons", ("Adventure stories", *_PAST)), "airplane": Heading("Air pilots", _PAST),
    "car": Heading("Automobile travel", _CRIME), "bicycle": Heading("Cycling", _LIFE),
    "umbrella": Heading("Umbrellas", _LIFE), "lantern": Heading("Lanterns", _GOTHIC), "anchor": Heading("Sailors", _SEA),
    "compass": Heading("Explorers", _SEA), "mask": Heading("Masks", _CRIME), "heart": Heading("Man-woman relationships", _LOVE),
    "eye": Heading("Surveillance", _CRIME), "spider": Heading("Spiders", _GOTHIC), "snake": Heading("Snakes", _FANTASY),
    "mushroom": Heading("Mushrooms", _FANTASY), "teapot": Heading("Tearooms", _CRIME), "violin": Heading("Violinists", _LIFE),
    "revolver": Heading("Murder", _CRIME), "ring": Heading("Rings", _FANTASY), "feather": Heading("Authors", _LIFE),
    "apple": Heading("Orchards", _LIFE), "robot": Heading("Robots", _SCIENCE), "ghost": Heading("Ghosts", _GOTHIC),
    "door": Heading("Doors", _GOTHIC),
}  # fmt: skip
SETTING_TOPICS = {
    "at sea": "Ocean travel", "in a forest": "Forests", "in the mountains": "Mountain life",
    "in the desert": "Deserts", "in green hills": "Country life",
}  # fmt: skip
# What Open Library's own lists add to the subjects of any work, whatever it is about.
NOISE_SUBJECTS = (
    "Accessible book", "Protected DAISY", "In library", "Large type books", "Open Library Staff Picks",
    "OverDrive", "English literature", "New York Times bestseller", "nyt:combined_print_and_e_book_fiction=2018-05-06",
)  # fmt: skip


def english_title(draws: Draws) -> str:
    """A title in English that names no motif, such as "The Winter of Glass"."""
    shape = draws.below(8)
    adjective, head, tail = draws.choice(ADJECTIVES), draws.choice(HEADS), draws.choice(TAILS)
    if shape < 3:
        return f"The {head} of {tail}"
    if shape == 3:
        return f"The {adjective} {head}"
    if shape == 4:
        return f"{tail} and {draws.choice(TAILS)}"
    if shape == 5:
        return f"{draws.choice(DOINGS)} {draws.choice(PLACES)}"
    if shape == 6:
        return f"The {adjective} {head} of {draws.choice(PLACES)}"
    return f"{adjective} {tail}"


def motif_title(motif: str, draws: Draws) -> str:
    """A title in English that says `motif`, such as "The Lighthouse of Salt"."""
    words = {"adjective": draws.choice(ADJECTIVES), "head": draws.choice(HEADS), "tail": draws.choice(TAILS)}
    return draws.choice(MOTIF_SHAPES).format(motif=motif.title(), place=draws.choice(PLACES), **words)


def foreign_title(language: str, draws: Draws) -> str:
    """A title in `language`, a MARC code of `FOREIGN`."""
    heads, joiner, tails = FOREIGN[language]
    return f"{draws.choice(heads)}{joiner}{draws.choice(tails)}"


def person_name(draws: Draws) -> str:
    """An author's name; one in twenty-five is not in Latin letters."""
    if draws.chance(0.04):
        return draws.choice(NATIVE_NAMES)
    middle = f" {draws.choice('ABCDEFGHJKLMNPRSTW')}." if draws.chance(0.2) else ""
    return f"{draws.choice(GIVEN)}{middle} {draws.choice(FAMILY)}"
