from __future__ import annotations

import pytest

from chronas.errors import UsageError
from chronas.names import named


def test_a_name_gives_the_object_of_its_import_string() -> None:
    assert named("function", "join", {"join": "os.path:join"})("a", "b") == "a/b"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown function 'jion': did you mean join"):
        named("function", "jion", {"join": "os.path:join"})
