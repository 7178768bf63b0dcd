"""All texts of panels and stories, by id, in one place, so that they can be translated.

A translation is a dictionary with the same ids; what it lacks is shown in English.

>>> translate("de", {"tab.stage": "Bühne"})
>>> Words("de")("tab.stage"), Words("de")("tab.time")
('Bühne', 'Time')
"""

from __future__ import annotations

from collections.abc import Mapping

from dynalab.panels.catalogue_stories import STORIES
from dynalab.panels.catalogue_texts import TEXTS

#: {language: {id: text}}; English is complete
_LANGUAGES: dict[str, dict[str, str]] = {"en": {**TEXTS, **STORIES}}


def translate(language: str, texts: Mapping[str, str]) -> None:
    """Add a translation, or parts of one.

    Raises:
        ValueError: an id is not in the catalogue.
    """
    unknown = sorted(set(texts) - set(_LANGUAGES["en"]))
    if unknown:
        raise ValueError(f"the catalogue has no text {unknown[0]!r}")
    _LANGUAGES.setdefault(language, {}).update(texts)


class Words:
    """The texts in one language.

    Raises:
        ValueError: nobody has translated them to it.
    """

    def __init__(self, language: str = "en") -> None:
        if language not in _LANGUAGES:
            raise ValueError(f"there are texts in {', '.join(_LANGUAGES)}; got {language!r}")
        self._texts = {**_LANGUAGES["en"], **_LANGUAGES[language]}

    def __call__(self, ident: str, /, **values: object) -> str:
        """One text, its ``{names}`` filled in."""
        text = self._texts[ident]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def texts(self) -> dict[str, str]:
        """All of them, for the browser."""
        return dict(self._texts)
