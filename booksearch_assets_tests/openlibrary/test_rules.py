from __future__ import annotations

import pytest

from booksearch_assets.openlibrary import rules


def test_other_code_has_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = rules.rules_version.__wrapped__()
    assert rules.rules_version() == ours
    monkeypatch.setattr(rules, "_PACKAGE", "booksearch_assets.tables")
    assert rules.rules_version.__wrapped__() != ours
