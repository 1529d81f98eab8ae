"""The sample products: which listings there are, and what is true about each and its photos.

Belongs here: the facts of products, listings and photos, each a pure function of the world and a number, so that nothing
is stored. Does not: how a listing is written down (`product_listings`), files (`product_release`), pixels
(`product_painter`), words (`product_words`).

A photo's id and its file name are its number in disguise, and back: a server paints what is asked for and keeps no list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum

from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.product_words import BRANDS, COLOURS, KINDS, SHOPS, STYLES, Shop
from booksearch_assets.sample.scenes import with_article

VIEWS = 4  # photos of a product at most
LISTING_FILES = 16  # of the release; the sample world has fewer

_IMAGE_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
_IMAGE_ID_LENGTH = 11
_ITEM_ID = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ITEM_ID_LENGTH = 8

# For each place in a block of twenty listings, which one repeats something of the listing before it.
_OTHER_SHOP, _SAME_PHOTO = 9, 19


class PhotoState(Enum):
    """What the release has for a photo that a listing names."""

    OK = "a photo"
    UNLISTED = "nothing, and images.csv does not list it"
    UNREADABLE = "a photo, but its row of images.csv says no path"
    GONE = "nothing, though images.csv lists it"

    @property
    def has_file(self) -> bool:
        return self in (PhotoState.OK, PhotoState.UNREADABLE)


_PHOTO_STATES = (
    (0.015, PhotoState.UNLISTED),
    (0.005, PhotoState.UNREADABLE),
    (0.005, PhotoState.GONE),
    (0.975, PhotoState.OK),
)


@dataclass(frozen=True, slots=True)
class SampleProduct:
    """A thing that is sold. `kind` and `colour` are what its photos show and its captions say."""

    index: int
    kind: str
    colour: str
    material: str
    style: str
    brand: str

    @property
    def caption(self) -> str:
        """The true caption of its photos, in the words that the sample model knows."""
        return f"{with_article(f'{self.colour} {self.kind}')} on a plain background"


@dataclass(frozen=True, slots=True)
class SampleListing:
    """One product as one shop lists it.

    `main_photo` and `other_photos` are numbers of photos; `main_photo` is None where the listing names none.
    `language_tags` are those of its names, the shop's own first; empty where it has no name at all.
    """

    index: int
    item_id: str
    shop: Shop
    product: SampleProduct
    variant: str
    language_tags: tuple[str, ...]
    main_photo: int | None
    other_photos: tuple[int, ...]


@dataclass(frozen=True)
class ProductWorld:
    """All facts of one world of products."""

    seed: int = 0
    listings: int = 800
    files: int = 4

    def __post_init__(self) -> None:
        if self.listings < 1 or not 1 <= self.files <= LISTING_FILES:
            raise ValueError(
                f"a world of products has at least 1 listing in 1 to {LISTING_FILES} files, "
                f"got listings={self.listings}, files={self.files}"
            )

    @property
    def parameters(self) -> dict[str, int]:
        """Everything that decides the content, for a file that says which world a folder holds."""
        return asdict(self)

    # -- products and listings

    def product(self, index: int) -> SampleProduct:
        draws = Draws("product", self.seed, index)
        kind = draws.choice(list(KINDS))
        return SampleProduct(
            index,
            kind,
            draws.choice(list(COLOURS)),
            draws.choice(KINDS[kind].materials),
            draws.choice(list(STYLES)),
            draws.choice(BRANDS),
        )

    def listing(self, index: int) -> SampleListing:
        """Listing `index`. One in twenty is the item before it in another shop, as many sell it in another size."""
        if not 0 <= index < self.listings:
            raise IndexError(f"listing {index} is not in a world of {self.listings} listings")
        place = index % 20
        of_before = place in (_OTHER_SHOP, _SAME_PHOTO)
        shop = self._shop(index)
        if place == _OTHER_SHOP and shop == self._shop(index - 1):
            shop = next(other for _, other in SHOPS if other != shop)
        product = self.product(index - of_before)
        draws = Draws("listing", self.seed, index)
        photos = self._photos_of(product.index)
        return SampleListing(
            index=index,
            item_id=self.item_id(index - (place == _OTHER_SHOP)),
            shop=shop,
            product=product,
            variant=", Pack of 2" if place == _SAME_PHOTO else "",
            language_tags=_language_tags(draws, shop.language_tag),
            main_photo=None if draws.chance(0.03) else photos[0],
            other_photos=tuple(photos[1:]),
        )

    def _shop(self, index: int) -> Shop:
        return Draws("shop", self.seed, index).weighted(SHOPS)

    # -- photos

    def photos(self) -> Iterator[int]:
        """The number of every photo of the world, in order; some are named by no listing."""
        for product in range(self.listings):
            if product % 20 not in (_OTHER_SHOP, _SAME_PHOTO):
                yield from self._photos_of(product)

    def main_photos(self) -> list[int]:
        """The number of every photo that stands for a product and can be had, in order."""
        named = {self.listing(index).main_photo for index in range(self.listings)}
        return sorted(
            photo for photo in named if photo is not None and self.photo_state(photo) is PhotoState.OK
        )

    def _photos_of(self, product: int) -> range:
        views = Draws("views", self.seed, product).weighted(((0.6, 1), (0.25, 2), (0.1, 3), (0.05, VIEWS)))
        return range(VIEWS * product, VIEWS * product + views)

    def photo_state(self, photo: int) -> PhotoState:
        return Draws("photo", self.seed, photo).weighted(_PHOTO_STATES)

    def photo_size(self, photo: int) -> tuple[int, int]:
        """(width, height) of the original, px. All are upright, as the covers are that the sample model learned from."""
        draws = Draws("photo size", self.seed, photo)
        height = draws.between(500, 1200)
        return round(height * draws.choice((2 / 3, 2 / 3, 3 / 4, 4 / 5))), height

    def product_shown(self, photo: int) -> SampleProduct:
        return self.product(photo // VIEWS)

    # -- ids

    def item_id(self, index: int) -> str:
        """Ten characters that begin with B0."""
        return "B0" + self._disguise("item", _ITEM_ID, _ITEM_ID_LENGTH).of(index)

    def image_id(self, photo: int) -> str:
        """Eleven characters, some of which an address has to escape."""
        return self._disguise("image", _IMAGE_ID, _IMAGE_ID_LENGTH).of(photo)

    def image_path(self, photo: int) -> str:
        """Where a photo lies in the folder of a size, such as `14/14fe8812.jpg`."""
        name = self._file_name().of(photo)
        return f"{name[:2]}/{name}.jpg"

    def photo_at(self, path: str) -> int | None:
        """The photo that the release has at a path; None where it has none."""
        photo = self._file_name().number(path[3:-4])
        if photo is None or photo // VIEWS >= self.listings or self.image_path(photo) != path:
            return None
        made = photo // VIEWS % 20 not in (_OTHER_SHOP, _SAME_PHOTO) and photo in self._photos_of(
            photo // VIEWS
        )
        return photo if made and self.photo_state(photo).has_file else None

    def _file_name(self) -> _Disguise:
        return self._disguise("file", "0123456789abcdef", 8)

    def _disguise(self, purpose: str, alphabet: str, length: int) -> _Disguise:
        draws = Draws("disguise", purpose, self.seed)
        return _Disguise(alphabet, length, draws.below(1 << 32) << 32 | draws.below(1 << 32))


@dataclass(frozen=True, slots=True)
class _Disguise:
    """Numbers as words of `length` letters that look drawn by lot: another word for each, and back."""

    alphabet: str
    length: int
    start: int

    # A prime that divides no alphabet's length, so that multiplying by it can be undone.
    _STEP = 0x9E3779B97F4A7C55

    def of(self, number: int) -> str:
        base = len(self.alphabet)
        code = (number * self._STEP + self.start) % base**self.length
        letters = []
        for _ in range(self.length):
            code, digit = divmod(code, base)
            letters.append(self.alphabet[digit])
        return "".join(letters)

    def number(self, word: str) -> int | None:
        """The number whose word it is; None where a letter is none of the alphabet."""
        base = len(self.alphabet)
        code = 0
        for letter in reversed(word):
            digit = self.alphabet.find(letter)
            if digit < 0:
                return None
            code = code * base + digit
        return (code - self.start) * pow(self._STEP, -1, base**self.length) % base**self.length


def _language_tags(draws: Draws, own: str) -> tuple[str, ...]:
    """The languages of a listing's names: most often the shop's own, often American English, sometimes others."""
    if draws.chance(0.02):
        return ()
    others = ("en_US", "de_DE", "es_MX", "fr_FR", "it_IT", "ja_JP", "en_GB")
    chosen = [tag for tag in others if draws.chance(0.4 if tag == "en_US" else 0.08)]
    return tuple(dict.fromkeys(([own] if draws.chance(0.96) else []) + chosen))
