"""Random words for every text of the catalogues: what decides by a sentence, or tests one, fails with them.

``PAYME_TEST_TEXTS=SEED pytest tests/payments tests/reversals tests/delivery`` replaces them in a run.
"""

from __future__ import annotations

import re
from functools import lru_cache
from gettext import GNUTranslations
from random import Random
from string import ascii_lowercase

from payme_plugin import texts
from payme_plugin.locale import load_catalogue

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


class RandomTexts(GNUTranslations):
    """A catalogue of random words in the place of a real one; each text keeps its placeholders.

    Args:
        language: its language.
        seed: what the words are made of; the same seed makes the same words.
        catalogue: the real one; a key that it does not have stays a key.
    """

    def __init__(self, language: str, seed: str, catalogue: GNUTranslations) -> None:
        super().__init__()
        self._language = language
        self._seed = seed
        self._catalogue = catalogue

    def gettext(self, message: str) -> str:
        """Return random words on two lines, with the placeholders of the text among them."""
        text = self._catalogue.gettext(message)
        if text == message:
            return text
        random = Random(f"{self._seed}/{self._language}/{message}")  # noqa: S311 - a seed is to replay
        words = ["".join(random.choices(ascii_lowercase, k=random.randint(3, 9))) for _ in range(8)]
        for placeholder in _PLACEHOLDER.findall(text):
            words.insert(random.randint(0, len(words)), placeholder)
        middle = random.randint(1, len(words) - 1)
        return " ".join(words[:middle]) + "\n" + " ".join(words[middle:])


def replace_texts(seed: str) -> None:
    """Replace every text of this process by random words."""
    replaced = lru_cache(lambda language, domain: RandomTexts(language, seed, load_catalogue(language, domain)))
    setattr(texts, "load_catalogue", replaced)  # noqa: B010 - the name is not one that the module exports
