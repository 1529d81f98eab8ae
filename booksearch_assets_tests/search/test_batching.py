"""Texts of concurrent queries are encoded together, and each gets its own vectors or its own error."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from booksearch_assets.search.batching import TextBatches


def test_who_waits_is_encoded_together_and_a_mistake_is_nobody_elses() -> None:
    entered, go_on = threading.Event(), threading.Event()
    batches: list[list[str]] = []

    def encode(texts: Sequence[str]) -> np.ndarray:
        batches.append(list(texts))
        if texts[0] == "first":
            entered.set()
            assert go_on.wait(30)
        if "bad" in texts:
            raise ValueError("bad text")
        return np.array([[len(text)] for text in texts], np.float32)

    encoded = TextBatches(encode)
    answers: dict[str, object] = {}

    def ask(*texts: str) -> None:
        try:
            answers[texts[0]] = encoded(texts)[:, 0].tolist()
        except ValueError as error:
            answers[texts[0]] = str(error)

    def started(*texts: str) -> threading.Thread:
        thread = threading.Thread(target=ask, args=texts)
        thread.start()
        return thread

    threads = [started("first")]
    assert entered.wait(30)
    threads += [started("a", "bb"), started("ccc")]
    while len(encoded._waiting) < 2:
        threads[0].join(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert answers == {"first": [5.0], "a": [1.0, 2.0], "ccc": [3.0]}
    assert len(batches) == 2 and sorted(batches[1]) == ["a", "bb", "ccc"]
    ask("bad")
    assert len(batches) == 3, "who waited alone was asked for twice"
    ask("dddd")
    assert answers["bad"] == "bad text" and answers["dddd"] == [4.0]
