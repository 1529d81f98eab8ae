"""Motifs that carry people: on rails, roads, water, and through the air."""

from __future__ import annotations

from booksearch_assets.sample.motifs.sketch import Sketch, Tone

FILL, LIGHT, SHADE, INK = Tone.FILL, Tone.LIGHT, Tone.SHADE, Tone.INK
PAPER, GLOW, WOOD, HOLE = Tone.PAPER, Tone.GLOW, Tone.WOOD, Tone.HOLE


def ship(s: Sketch) -> None:
    for x, top in ((30, 12), (54, 3), (76, 16)):
        s.box(x - 1.2, top, x + 1.2, 76, WOOD)
    s.line("88,72 96,64 100,58", 2.4, WOOD)
    s.shape("40,20! 66,20! 70,34 66,46! 40,46! 45,34", FILL)
    s.shape("38,49! 68,49! 72,60 68,68! 38,68! 43,58", FILL)
    s.shape("18,26! 40,26! 43,36 40,46! 18,46! 22,36", LIGHT)
    s.shape("16,49! 41,49! 44,58 41,68! 16,68! 20,58", LIGHT)
    s.shape("69,28! 82,28! 86,38 82,46! 69,46! 72,38", LIGHT)
    s.shape("78,50! 98,60! 80,68!", SHADE)
    for x, top in ((30, 12), (54, 3), (76, 16)):
        s.shape(f"{x},{top}! {x - 12},{top + 3}! {x},{top + 7}!", FILL)
    s.shape("4,62! 18,64! 18,72! 92,72! 98,70! 88,92 76,96! 22,96! 10,88", SHADE)
    s.shape("5,68! 16,70! 16,76! 94,76! 91,82! 8,82!", FILL)
    for x in (24, 36, 48, 60, 72):
        s.box(x, 84, x + 5, 89, PAPER)


def rocket(s: Sketch) -> None:
    s.shape("38,78! 36,90 50,100 64,90 62,78!", GLOW)
    s.shape("44,78! 44,86 50,93 56,86 56,78!", PAPER)
    s.pair("34,50! 18,64 12,86! 24,80 38,76!", SHADE)
    s.shape("50,0! 64,14 70,36 68,60 62,78! 38,78! 32,60 30,36 36,14", FILL)
    s.shape("50,0! 58,8 64,20! 36,20! 42,8", SHADE)
    s.shape("40,24 35,38 37,60 42,74 44,60 43,38", LIGHT)
    s.ellipse(50, 36, 10, tone=SHADE)
    s.ellipse(50, 36, 7.5, tone=PAPER)
    s.shape("46,34 49,30 53,31 48,36", LIGHT)
    s.box(47, 58, 53, 84, SHADE)
    s.box(36, 74, 64, 79, INK)


def train(s: Sketch) -> None:
    for x, y, r in ((78, 8, 8), (64, 6, 7), (50, 9, 6), (38, 7, 4.5)):
        s.ellipse(x, y, r, tone=PAPER)
    s.shape("76,44! 78,26! 73,20! 91,20! 86,26! 88,44!", SHADE)
    s.box(6, 22, 40, 30, SHADE)
    s.box(10, 30, 36, 72)
    s.box(15, 35, 31, 50, PAPER)
    s.box(36, 42, 92, 70)
    s.ellipse(92, 56, 5, 14)
    for x in (46, 58, 70):
        s.box(x, 42, x + 2.6, 70, SHADE)
    s.shape("50,42! 50,36 55,32 60,36 60,42!", GLOW)
    s.box(38, 46, 92, 50, LIGHT)
    s.ellipse(95, 50, 4, tone=GLOW)
    s.box(6, 70, 94, 76, INK)
    s.shape("86,74! 94,74! 100,92! 84,92!", SHADE)
    for x, y, r in ((22, 82, 12), (48, 82, 12), (72, 85, 9)):
        s.ellipse(x, y, r, tone=SHADE)
        s.ellipse(x, y, r - 3.4, tone=LIGHT)
        s.ellipse(x, y, 2.6, tone=INK)
    s.line("22,82 36,82 48,82", 3, INK)
    s.box(0, 94, 100, 97, WOOD)


def balloon(s: Sketch) -> None:
    for rope in ("24,54 32,68 40,82", "76,54 68,68 60,82", "44,68 44,76 44,82", "56,68 56,76 56,82"):
        s.line(rope, 1.4, INK)
    s.shape("40,74! 20,56 10,34 22,10 50,1 78,10 90,34 80,56 60,74!")
    s.pair("44,74! 32,56 24,34 32,12 50,1! 36,14 34,34 38,56", LIGHT)
    s.shape("47,74! 44,54 42,34 45,12 50,1! 55,12 58,34 56,54 53,74!", SHADE)
    s.line("12,42 50,50 88,42", 4, PAPER)
    s.box(40, 72, 60, 76, SHADE)
    s.shape("39,82! 61,82! 59,98! 41,98!", WOOD)
    s.line("40,88 50,88 60,88", 1.4, INK)
    s.line("40,93 50,93 60,93", 1.4, INK)


def airplane(s: Sketch) -> None:
    """Seen from above, nose up."""
    s.shape("44,34! 4,58! 2,68! 44,58! 56,58! 98,68! 96,58! 56,34!", FILL)
    s.shape("44,46! 4,62! 2,68! 44,58! 56,58! 98,68! 96,62! 56,46!", SHADE)
    s.shape("47,78! 26,90! 25,97! 50,90! 75,97! 74,90! 53,78!", SHADE)
    s.shape("50,1! 56,8 58,20 57,60 54,86 50,94 46,86 43,60 42,20 44,8", FILL)
    s.shape("48,6 46,20 46,60 48,84 49,60 49,20", LIGHT)
    s.shape("45,15! 50,12 55,15! 54,20! 46,20!", PAPER)
    for x in (20, 30, 70, 80):
        y = 46 + abs(50 - x) * 0.28
        s.shape(f"{x - 2.6},{y} {x},{y - 5} {x + 2.6},{y} {x + 2},{y + 10} {x - 2},{y + 10}", LIGHT)
    s.box(49, 78, 51, 97, INK)
    for y in (28, 36, 44, 52, 60):
        s.ellipse(50, y, 1.8, tone=PAPER)


def car(s: Sketch) -> None:
    s.shape("2,70! 4,54 16,50 26,48! 36,30 46,26 66,26 76,32 86,48! 96,52 98,62 98,72! 92,76! 6,76!")
    s.shape("33,47! 40,34 46,32! 54,32! 54,47!", PAPER)
    s.shape("58,32! 66,32 71,36 78,47! 58,47!", PAPER)
    s.shape("2,66! 98,66! 98,72! 92,76! 6,76! 2,70!", SHADE)
    s.line("8,56 40,53 92,56", 2.2, LIGHT)
    s.line("56,32 56,50 57,74", 1.6, INK)
    s.line("60,54 63,54 66,54", 2, INK)
    s.ellipse(6, 60, 3.4, 4.2, GLOW)
    s.box(94, 56, 98.5, 62, INK)
    s.box(0, 70, 10, 74, PAPER)
    s.box(90, 70, 100, 74, PAPER)
    for x in (24, 76):
        s.ellipse(x, 76, 13, tone=INK)
        s.ellipse(x, 76, 10.5, tone=SHADE)
        s.ellipse(x, 76, 6, tone=PAPER)
        s.ellipse(x, 76, 2.2, tone=INK)


def bicycle(s: Sketch) -> None:
    for x in (22, 78):
        s.ring(x, 66, 19.5, 4, FILL)
        for spoke in (f"{x - 13},53 {x},66 {x + 13},79", f"{x - 13},79 {x},66 {x + 13},53"):
            s.line(spoke, 0.8, SHADE)
        s.ellipse(x, 66, 3, tone=SHADE)
    for tube in ("22,66 28,52 36,36", "22,66 34,66 46,68", "36,36 42,52 46,68", "37,40 52,40 69,40"):
        s.line(tube, 4, FILL)
    s.line("46,68 58,54 69,40", 4, FILL)
    s.line("78,66 72,46 66,28", 4, FILL)
    s.line("66,28 74,24 82,30 78,36", 3.4, SHADE)
    s.shape("26,32! 34,30 46,31! 44,36 34,37", SHADE)
    s.ring(46, 68, 5, 3, SHADE)
    s.line("46,68 50,74 52,80", 2.6, SHADE)
    s.line("48,81 52,81 57,81", 2.8, SHADE)


DRAWN = (ship, rocket, train, balloon, airplane, car, bicycle)
