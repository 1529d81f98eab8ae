"""Motifs that live, or once did: animals, monsters, and those who look at you from the dark."""

from __future__ import annotations

from booksearch_assets.sample.motifs.sketch import Sketch, Tone, mirrored

FILL, LIGHT, SHADE, INK = Tone.FILL, Tone.LIGHT, Tone.SHADE, Tone.INK
PAPER, GLOW, HOLE = Tone.PAPER, Tone.GLOW, Tone.HOLE


def dragon(s: Sketch) -> None:
    s.shape("58,56! 66,36 84,18! 82,34 92,40! 82,46 82,56! 72,58 66,66!", SHADE)  # far wing
    s.line("34,78 16,90 5,78 12,64", 9, FILL, 3)
    s.shape("12,70! 4,58! 14,48! 20,60!")
    s.shape("28,76! 22,92! 16,98! 38,98! 42,80!", SHADE)
    s.shape("56,76! 60,90! 54,98! 72,98! 68,80!", SHADE)
    s.shape("26,74 36,62 52,58 66,64 66,80 52,90 34,88")
    s.line("60,72 74,62 72,44 78,32", 17, FILL, 10)
    for spike in ("64,56! 56,50! 67,50!", "64,48! 57,41! 67,42!", "66,40! 61,32! 71,35!"):
        s.shape(spike, LIGHT)
    s.shape("72,30! 76,22 86,22 99,30! 98,34 86,36! 95,42! 84,44 74,40")
    s.shape("76,26! 62,8! 84,22!", LIGHT)
    s.ellipse(83, 28, 2.2, tone=GLOW)
    s.line("47,86 60,82 69,74 74,64", 5, LIGHT, 3)
    s.shape("52,70! 44,34 26,2! 24,14 12,14! 16,28 2,34! 14,42 14,54! 26,52 30,66! 40,62 44,76!", LIGHT)
    for rib in ("48,66 38,38 26,4", "46,68 32,38 13,15", "45,70 26,46 4,35", "44,72 30,58 15,53"):
        s.line(rib, 2, INK)
    s.line("50,70 42,36 26,3", 4.5, FILL, 2)


def wolf(s: Sketch) -> None:
    s.shape("24,94 8,92 4,76 12,66! 16,80 30,82", SHADE)  # tail
    s.shape(
        "20,96! 20,78 26,60 38,46 46,34! 50,26 46,10! 58,18 74,4 82,1! 86,5 78,14! 84,14! 82,20 72,28 "
        "70,42 70,60 69,80 75,92! 78,97! 60,97! 56,76! 48,80 46,90 52,97!"
    )
    s.shape("58,60 66,46 68,34 62,40! 58,38! 56,46! 51,44! 52,52! 46,54! 50,64", LIGHT)
    s.shape("46,10! 50,26 56,22!", SHADE)
    s.line("60,17 63,15 66,14", 1.8, INK)
    s.ellipse(82.5, 3, 2.2, tone=INK)
    s.line("24,92 26,76 36,70 46,78", 1.8, SHADE)
    s.line("62,64 61,80 63,94", 1.6, SHADE)


def cat(s: Sketch) -> None:
    s.line("66,90 86,92 92,74 82,60 88,48", 8, FILL, 5)
    s.shape("28,96! 28,78 34,58 44,46 56,46 66,58 74,78 72,96!")
    s.shape("26,10! 34,14 42,20! 58,20! 66,14 74,10! 76,30 70,46 50,54 30,46 24,30")
    s.pair("30,17! 31,28! 39,22!", SHADE)
    s.pair("33,32 38,28 44,33 38,37", GLOW)
    for x in (38.5, 61.5):
        s.ellipse(x, 32.5, 1.5, 4, INK)
    s.shape("47,39! 53,39! 50,42.5!", INK)
    for whisker in ("44,42 34,40 22,40", "44,44 34,46 24,49"):
        s.line(whisker, 1.2, INK)
        s.line(mirrored(whisker), 1.2, INK)
    s.shape("42,58 50,54 58,58 56,72 50,78 44,72", LIGHT)
    s.line("50,80 50,88 50,96", 1.6, INK)
    s.line("36,96 38,88 42,84", 1.6, INK)
    s.line("64,96 62,88 58,84", 1.6, INK)


def owl(s: Sketch) -> None:
    s.shape("22,4! 34,12 50,13 66,12 78,4! 80,22 82,44 80,72 66,90 50,94 34,90 20,72 18,44 20,22")
    s.pair("21,42 14,60 20,82 32,90! 34,70 30,50", SHADE)
    s.shape("36,56 50,48 64,56 66,76 50,90 34,76", LIGHT)
    for y, xs in ((60, (42, 50, 58)), (68, (38, 46, 54, 62)), (76, (42, 50, 58))):
        for x in xs:
            s.shape(f"{x - 3},{y}! {x},{y + 4} {x + 3},{y}!", SHADE)
    for x in (35, 65):
        s.ellipse(x, 31, 14, tone=LIGHT)
        s.ellipse(x, 31, 10.5, tone=PAPER)
        s.ellipse(x, 31, 5.5, tone=INK)
        s.ellipse(x + 2, 29, 1.6, tone=PAPER)
    s.shape("45,36! 50,33 55,36! 50,49!", GLOW)
    s.pair("22,5! 34,17 48,26! 34,22 24,18", SHADE)
    s.box(4, 93, 96, 98, Tone.WOOD)
    for x in (38, 43, 57, 62):
        s.ellipse(x, 92, 2.4, 4, GLOW)


def raven(s: Sketch) -> None:
    s.shape("2,96! 4,84 26,62! 40,72! 18,90!", SHADE)  # tail
    s.shape("14,82! 26,60 38,42 56,30 62,16 76,10 86,16! 99,25! 86,28! 84,42 78,60 62,76 42,80 28,80")
    s.shape("18,84! 24,66 40,44 58,42 64,56 54,70 36,78", LIGHT)
    for quill in ("24,79 40,68 56,58", "34,76 46,70 58,64", "28,70 40,60 54,50"):
        s.line(quill, 1.8, SHADE)
    s.shape("84,17! 99,25! 85,26!", SHADE)
    s.line("85,22 92,24 98,25", 1.2, INK)
    s.ellipse(76, 19, 2.8, tone=PAPER)
    s.ellipse(76.6, 19, 1.4, tone=INK)
    for x in (52, 60):
        s.line(f"{x},76 {x + 1},86 {x + 2},94", 2.6, SHADE)
        s.line(f"{x - 6},96 {x + 2},94 {x + 10},96", 2.6, SHADE)


def horse(s: Sketch) -> None:
    """A horse's head and neck, mane flowing."""
    s.shape("12,98! 14,76 20,52 30,30 42,14! 28,20 14,38 8,56 2,74 4,92", SHADE)
    s.shape(
        "14,98! 18,72 24,48 36,26 46,16! 48,2! 56,10 62,16 72,28 84,44 94,56 96,66 90,74 80,74! 70,66 "
        "58,58 56,66 64,82 70,98!"
    )
    for lock in ("40,22 26,30 16,46", "34,32 22,44 12,62", "28,46 18,60 10,80", "24,60 16,74 12,94"):
        s.line(lock, 7, SHADE, 2)
    s.shape("47,16! 43,3! 54,14!", LIGHT)
    s.shape("60,22 74,40 88,56 90,62 76,52 62,36", LIGHT)
    s.ellipse(61, 29, 3, 2.4, INK, 20)
    s.ellipse(90, 62, 2, 2.8, INK, -30)
    s.line("80,71 86,68 92,69", 1.6, INK)
    s.line("56,64 50,56 50,44", 2, SHADE)


def whale(s: Sketch) -> None:
    s.shape("78,48! 86,30! 70,20! 72,10 86,12 90,22! 92,12 99,8! 100,22 94,32! 96,50 88,64!")
    s.shape("2,66 6,48 22,40 44,40 62,50 76,54 88,44! 97,44! 96,62 84,78 62,90 34,92 12,86")
    s.shape("4,72 20,76 44,76 66,74! 84,76! 62,90 34,92 12,86", PAPER)
    for groove in ("10,79 26,83 46,82", "14,85 30,88 50,86"):
        s.line(groove, 1.4, SHADE)
    s.line("3,70 16,73 26,66", 1.8, INK)
    s.ellipse(28, 60, 2.4, tone=INK)
    s.shape("40,74! 48,72 56,76! 62,92 56,98! 46,90", SHADE)
    s.line("30,40 30,28 22,18", 3.5, LIGHT, 3)
    s.line("30,40 31,26 40,18", 3.5, LIGHT, 3)
    for x, y in ((18, 20), (24, 12), (31, 8), (38, 12), (44, 20)):
        s.ellipse(x, y, 3.2, tone=LIGHT)


def butterfly(s: Sketch) -> None:
    s.pair("49,44! 38,18 18,4 3,10 4,34 18,50 49,52!")
    s.pair("49,50! 26,52 12,64 16,86 32,94 44,76 49,58!", SHADE)
    s.pair("44,42 34,22 18,12 11,18 14,32 26,42", LIGHT)
    s.pair("42,56 28,58 22,68 28,80 38,72", FILL)
    for x in (13, 87):
        s.ellipse(x, 41, 2.5, tone=PAPER)
    for x in (9, 91):
        s.ellipse(x, 33, 2, tone=PAPER)
    for x in (23, 77):
        s.ellipse(x, 80, 3, tone=PAPER)
    for x in (22, 78):
        s.ellipse(x, 26, 4.5, tone=INK)
    s.ellipse(50, 54, 3, 24, INK)
    s.ellipse(50, 30, 4, tone=INK)
    s.line("49,28 44,16 36,8", 1.6, INK)
    s.line("51,28 56,16 64,8", 1.6, INK)


def spider(s: Sketch) -> None:
    legs = (
        "44,42 30,24 22,28 10,8",
        "43,46 24,36 16,42 2,34",
        "43,50 24,56 16,56 3,74",
        "45,54 30,66 24,72 18,96",
    )
    for leg in legs:
        s.line(leg, 4.2, FILL, 2)
        s.line(mirrored(leg), 4.2, FILL, 2)
    s.line("50,0 50,20 50,38", 1.2, PAPER)
    s.ellipse(50, 68, 20, 23)
    s.ellipse(50, 44, 11, 11)
    s.ellipse(44, 62, 5, 8, LIGHT, 20)
    s.shape("50,58! 58,66! 50,74! 42,66!", PAPER)
    s.shape("50,74! 56,82! 44,82!", PAPER)
    for x, y, r in ((46, 40, 2.4), (54, 40, 2.4), (41.5, 43, 1.5), (58.5, 43, 1.5)):
        s.ellipse(x, y, r, tone=PAPER)
    s.line("46,52 45,58 48,60", 2, INK)
    s.line("54,52 55,58 52,60", 2, INK)


def snake(s: Sketch) -> None:
    s.line("30,24 60,20 82,34 72,50 40,52 16,62 20,80 50,84 78,80 94,90", 14, FILL, 3)
    s.line("36,27 62,25 77,35 68,45 40,47 14,60 20,75 50,79 76,77", 3, LIGHT, 1)
    for x, y in ((60, 18), (79, 30), (72, 52), (50, 52), (30, 55), (17, 68), (28, 83), (46, 85), (64, 83)):
        s.ellipse(x, y, 3.2, tone=SHADE)
    s.shape("38,16 26,10 12,16 4,24 12,32 26,34 38,30")
    s.ellipse(20, 20, 2.8, tone=PAPER)
    s.ellipse(19.5, 20, 1.3, 2.6, INK)
    s.line("6,26 0,32 -2,30", 1.6, INK)
    s.line("6,26 2,33 2,38", 1.6, INK)
    s.line("7,27 14,29 22,28", 1.4, INK)


def ghost(s: Sketch) -> None:
    s.shape(
        "22,96! 18,74 20,40 28,16 50,3 72,16 80,40 82,74 84,94! 76,98 70,88! 62,98 56,98 50,88! "
        "44,98 36,98 32,88! 28,96"
    )
    s.shape("22,52 8,46 4,56 10,66 22,68")
    s.shape("78,52 92,46 96,56 90,66 78,68")
    s.shape("28,76 26,44 34,20 46,10 36,30 34,60 36,80", LIGHT)
    s.shape("74,92 76,64 74,40 79,50 80,76", SHADE)
    s.ellipse(40, 36, 5.5, 8.5, INK)
    s.ellipse(62, 36, 5.5, 8.5, INK)
    s.ellipse(51, 57, 6, 9, INK)


def robot(s: Sketch) -> None:
    s.line("50,2 50,8 50,14", 2.6, SHADE)
    s.ellipse(50, 4, 4, tone=GLOW)
    s.box(28, 12, 72, 42)
    s.box(22, 20, 28, 34, SHADE)
    s.box(72, 20, 78, 34, SHADE)
    s.box(44, 42, 56, 48, SHADE)
    s.box(24, 48, 76, 80)
    s.box(10, 50, 21, 74, SHADE)
    s.box(79, 50, 90, 74, SHADE)
    s.arc(15.5, 79, 6, -60, 240, 4, FILL)
    s.arc(84.5, 79, 6, -60, 240, 4, FILL)
    for x in (33, 55):
        s.box(x, 80, x + 12, 92, SHADE)
        s.box(x - 4, 91, x + 16, 98)
    for x in (40, 60):
        s.ellipse(x, 24, 6.5, tone=PAPER)
        s.ellipse(x, 24, 2.8, tone=INK)
    s.box(36, 33, 64, 38, INK)
    for x in (42, 49, 56):
        s.box(x, 33, x + 2, 38, PAPER)
    s.box(32, 54, 68, 70, LIGHT)
    s.ellipse(40, 62, 4, tone=GLOW)
    s.line("50,58 56,58 64,58", 2, INK)
    s.line("50,63 56,63 64,63", 2, INK)


def skull(s: Sketch) -> None:
    s.shape("30,66! 12,58 6,36 20,10 50,2 80,10 94,36 88,58 70,66! 72,86 66,96 34,96 28,86")
    s.shape("20,22 34,10 50,8 34,20 22,36", LIGHT)
    s.pair("18,46 24,36 38,36 44,46 38,58 24,58", INK)
    s.shape("50,52! 57,66! 50,63! 43,66!", INK)
    s.line("32,76 50,80 68,76", 2.4, INK)
    for x in (38, 46, 54, 62):
        s.line(f"{x},70 {x},78 {x},90", 1.8, INK)
    s.pair("30,66! 24,64 20,58 28,62", SHADE)


DRAWN = (dragon, wolf, cat, owl, raven, horse, whale, butterfly, spider, snake, ghost, robot, skull)
