"""Words of the sample products: what things are called in six languages, materials, shops, brands.

Belongs here: word lists and the names put together from them. Does not: which product gets which (`products`), the
attributes of a listing (`product_listings`).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

LANGUAGES = ("en", "de", "es", "fr", "it", "ja")
"""The order of all translations here."""

Words = tuple[str, str, str, str, str, str]


class Surface(Enum):
    """How a material looks from near."""

    GLAZED = "glazed"
    BRUSHED = "brushed"
    GRAINED = "grained"
    WOVEN = "woven"
    MATT = "matt"


class Material(NamedTuple):
    """What a thing is made of."""

    words: Words
    surface: Surface


class Kind(NamedTuple):
    """What a thing is. Its key in `KINDS` is the motif that it is drawn by."""

    product_type: str
    category: str
    words: Words
    materials: tuple[str, ...]


class Shop(NamedTuple):
    """A shop: its domain, its name, its country, and the language of most of its listings."""

    domain_name: str
    marketplace: str
    country: str
    language_tag: str


MATERIALS: dict[str, Material] = {
    "ceramic": Material(("Ceramic", "Keramik", "Cerámica", "Céramique", "Ceramica", "セラミック"), Surface.GLAZED),
    "glass": Material(("Glass", "Glas", "Vidrio", "Verre", "Vetro", "ガラス"), Surface.GLAZED),
    "plastic": Material(("Plastic", "Kunststoff", "Plástico", "Plastique", "Plastica", "プラスチック"), Surface.MATT),
    "steel": Material(("Steel", "Stahl", "Acero", "Acier", "Acciaio", "スチール"), Surface.BRUSHED),
    "brass": Material(("Brass", "Messing", "Latón", "Laiton", "Ottone", "真鍮"), Surface.BRUSHED),
    "wood": Material(("Wood", "Holz", "Madera", "Bois", "Legno", "木製"), Surface.GRAINED),
    "cotton": Material(("Cotton", "Baumwolle", "Algodón", "Coton", "Cotone", "コットン"), Surface.WOVEN),
    "polyester": Material(("Polyester", "Polyester", "Poliéster", "Polyester", "Poliestere", "ポリエステル"), Surface.WOVEN),
    "paper": Material(("Paper", "Papier", "Papel", "Papier", "Carta", "紙"), Surface.MATT),
    "wax": Material(("Wax", "Wachs", "Cera", "Cire", "Cera", "ワックス"), Surface.MATT),
}  # fmt: skip

KINDS: dict[str, Kind] = {
    "teapot": Kind("TEAPOT", "/Kitchen & Dining/Teapots", ("Teapot", "Teekanne", "Tetera", "Théière", "Teiera", "ティーポット"), ("ceramic", "glass", "steel")),
    "lantern": Kind("LANTERN", "/Home/Lighting/Lanterns", ("Lantern", "Laterne", "Farol", "Lanterne", "Lanterna", "ランタン"), ("steel", "brass", "wood")),
    "clock": Kind("CLOCK", "/Home/Clocks", ("Clock", "Uhr", "Reloj", "Horloge", "Orologio", "時計"), ("wood", "plastic", "steel")),
    "umbrella": Kind("UMBRELLA", "/Luggage/Umbrellas", ("Umbrella", "Regenschirm", "Paraguas", "Parapluie", "Ombrello", "傘"), ("polyester", "cotton")),
    "violin": Kind("STRINGED_INSTRUMENTS", "/Musical Instruments/Violins", ("Violin", "Geige", "Violín", "Violon", "Violino", "バイオリン"), ("wood",)),
    "key": Kind("KEYCHAIN", "/Accessories/Key Rings", ("Key", "Schlüssel", "Llave", "Clé", "Chiave", "鍵"), ("brass", "steel", "plastic")),
    "candle": Kind("CANDLE", "/Home/Candles", ("Candle", "Kerze", "Vela", "Bougie", "Candela", "キャンドル"), ("wax",)),
    "book": Kind("BLANK_BOOK", "/Office/Notebooks", ("Notebook", "Notizbuch", "Cuaderno", "Carnet", "Taccuino", "ノート"), ("paper", "cotton")),
    "compass": Kind("NAVIGATION_COMPASS", "/Outdoors/Compasses", ("Compass", "Kompass", "Brújula", "Boussole", "Bussola", "コンパス"), ("brass", "plastic")),
    "hourglass": Kind("TIMER", "/Kitchen & Dining/Timers", ("Hourglass", "Sanduhr", "Reloj de arena", "Sablier", "Clessidra", "砂時計"), ("glass", "wood")),
    "mask": Kind("COSTUME_MASK", "/Costumes/Masks", ("Mask", "Maske", "Máscara", "Masque", "Maschera", "マスク"), ("paper", "plastic", "cotton")),
    "ring": Kind("FINERING", "/Jewelry/Rings", ("Ring", "Ring", "Anillo", "Bague", "Anello", "指輪"), ("brass", "steel")),
    "crown": Kind("COSTUME_HEADWEAR", "/Costumes/Crowns", ("Crown", "Krone", "Corona", "Couronne", "Corona", "王冠"), ("brass", "plastic", "paper")),
    "bicycle": Kind("BICYCLE", "/Sports/Bicycles", ("Bicycle", "Fahrrad", "Bicicleta", "Vélo", "Bicicletta", "自転車"), ("steel",)),
    "anchor": Kind("HOME_WALL_ART", "/Home/Wall Art", ("Anchor", "Anker", "Ancla", "Ancre", "Ancora", "錨"), ("wood", "steel")),
    "sword": Kind("TOY_WEAPON", "/Toys/Dress Up", ("Sword", "Schwert", "Espada", "Épée", "Spada", "剣"), ("wood", "plastic")),
    "feather": Kind("WRITING_INSTRUMENT", "/Office/Pens", ("Feather Pen", "Federkiel", "Pluma de ave", "Plume d'oie", "Penna d'oca", "羽根ペン"), ("cotton", "paper")),
    "balloon": Kind("DECORATION", "/Toys/Party", ("Balloon", "Heißluftballon", "Globo", "Montgolfière", "Mongolfiera", "気球"), ("polyester", "paper")),
    "robot": Kind("TOY_FIGURE", "/Toys/Robots", ("Robot", "Roboter", "Robot", "Robot", "Robot", "ロボット"), ("plastic", "steel")),
    "rocket": Kind("TOYS_AND_GAMES", "/Toys/Rockets", ("Rocket", "Rakete", "Cohete", "Fusée", "Razzo", "ロケット"), ("plastic", "wood")),
    "ship": Kind("TOYS_AND_GAMES", "/Toys/Ships", ("Model Ship", "Modellschiff", "Barco", "Voilier", "Veliero", "模型船"), ("wood", "plastic")),
    "train": Kind("TOYS_AND_GAMES", "/Toys/Trains", ("Train", "Eisenbahn", "Tren", "Train", "Trenino", "汽車"), ("wood", "plastic", "steel")),
    "airplane": Kind("TOYS_AND_GAMES", "/Toys/Airplanes", ("Airplane", "Flugzeug", "Avión", "Avion", "Aeroplano", "飛行機"), ("wood", "plastic")),
    "car": Kind("TOYS_AND_GAMES", "/Toys/Cars", ("Car", "Auto", "Coche", "Voiture", "Automobilina", "車"), ("plastic", "steel", "wood")),
}  # fmt: skip

COLOURS: dict[str, Words] = {
    "red": ("Red", "Rot", "Rojo", "Rouge", "Rosso", "レッド"),
    "orange": ("Orange", "Orange", "Naranja", "Orange", "Arancione", "オレンジ"),
    "yellow": ("Yellow", "Gelb", "Amarillo", "Jaune", "Giallo", "イエロー"),
    "green": ("Green", "Grün", "Verde", "Vert", "Verde", "グリーン"),
    "teal": ("Teal", "Petrol", "Verde azulado", "Bleu canard", "Ottanio", "ティール"),
    "blue": ("Blue", "Blau", "Azul", "Bleu", "Blu", "ブルー"),
    "purple": ("Purple", "Lila", "Morado", "Violet", "Viola", "パープル"),
    "pink": ("Pink", "Rosa", "Rosa", "Rose", "Rosa", "ピンク"),
    "white": ("White", "Weiß", "Blanco", "Blanc", "Bianco", "ホワイト"),
    "black": ("Black", "Schwarz", "Negro", "Noir", "Nero", "ブラック"),
}

STYLES: dict[str, Words] = {
    "classic": ("Classic", "Klassisch", "Clásico", "Classique", "Classico", "クラシック"),
    "modern": ("Modern", "Modern", "Moderno", "Moderne", "Moderno", "モダン"),
    "rustic": ("Rustic", "Rustikal", "Rústico", "Rustique", "Rustico", "ラスティック"),
    "vintage": ("Vintage", "Vintage", "Antiguo", "Rétro", "Vintage", "ヴィンテージ"),
    "compact": ("Compact", "Kompakt", "Compacto", "Compact", "Compatto", "コンパクト"),
}

BRANDS = (
    "Alder & Pike", "Brightwater", "Corvane", "Dunmere", "Eastlight", "Fennick", "Görlach", "Hesper",
    "Ivory Lane", "Juniper Works", "Kestrel Home", "Lumière Nord", "Marlstone", "Ostrava",
)  # fmt: skip

SHOPS: tuple[tuple[float, Shop], ...] = (
    (0.55, Shop("amazon.com", "Amazon", "US", "en_US")),
    (0.12, Shop("amazon.in", "Amazon", "IN", "en_IN")),
    (0.11, Shop("amazon.co.uk", "Amazon", "GB", "en_GB")),
    (0.07, Shop("amazon.de", "Amazon", "DE", "de_DE")),
    (0.05, Shop("amazon.com.mx", "Amazon", "MX", "es_MX")),
    (0.04, Shop("amazon.co.jp", "Amazon", "JP", "ja_JP")),
    (0.03, Shop("amazon.fr", "Amazon", "FR", "fr_FR")),
    (0.03, Shop("amazon.it", "Amazon", "IT", "it_IT")),
)
"""Each with its share of the listings."""


def in_language(words: Words, language_tag: str) -> str:
    """The word in the language of a tag such as en_GB."""
    return words[LANGUAGES.index(language_tag.partition("_")[0])]


def product_name(
    language_tag: str, brand: str, kind: str, colour: str, material: str, style: str, suffix: str = ""
) -> str:
    """What a shop calls a product: an English phrase, or a list of words where grammar would ask for agreement."""
    noun, tint, stuff, manner = (
        in_language(words, language_tag)
        for words in (KINDS[kind].words, COLOURS[colour], MATERIALS[material].words, STYLES[style])
    )
    if language_tag.startswith("en"):
        return f"{brand} {manner} {tint} {stuff} {noun}{suffix}"
    if language_tag.startswith("ja"):
        return f"{brand} {noun} {stuff} {tint}{suffix}"
    return f"{brand} {noun}, {stuff}, {tint}{suffix}"
