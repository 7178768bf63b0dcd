"""The transcripts in tests/transcripts/: stories that a newcomer can read, and that must come true word by word.

After a wanted change of the protocol, `DYNALAB_RETELL=1 pytest tests/test_transcripts.py` writes them anew;
read the difference aloud before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.narrator import RULE, retold

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_story_comes_true(path: Path):
    """Carried out again, the verbs of a transcript lead to the story that it tells."""
    written = path.read_text(encoding="utf-8")
    told = retold(written)
    if os.environ.get("DYNALAB_RETELL") == "1":
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_every_transcript_is_a_story():
    """There are at least ten, each with prose, several verbs, and something that happens."""
    assert len(TRANSCRIPTS) >= 10
    for path in TRANSCRIPTS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert text.count(f"\n{RULE}\n") >= 3
