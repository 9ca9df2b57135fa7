"""Rules about the forms of English words: number, part of speech, case, articles.

They know no words beyond :mod:`skcap.adversarial.lexicon`. Where they are unsure they say no: a
missing item of an adversarial set does less harm than one with wrong grammar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from skcap.adversarial.lexicon import (
    ADJECTIVES,
    ADVERBS,
    BE_AND_HAVE,
    DETERMINERS,
    FUNCTION_WORDS,
    NAMES,
    NOT_PLURAL,
    NUMBER_WORDS,
    PARTICIPLES,
    PARTICLES,
    PAST_FORMS,
    UNCOUNTABLE,
    VERB_CUES,
    VERBS,
    VERBS_AND_NOUNS,
)
from skcap.utils.words import bare, split_affixes

__all__ = [
    "article_for",
    "fits",
    "is_akin",
    "is_base_verb",
    "is_function_word",
    "is_protected",
    "label_stems",
    "match_form",
    "stem",
]

_SENTENCE_END = re.compile(r"[.!?]\W*$")
_ING_NOUNS = frozenset(
    {"thing", "something", "king", "ring", "spring", "string", "evening", "morning"}
)
_ING_VERBS_AND_NOUNS = frozenset(
    {"meeting", "booking", "setting", "building", "parking", "rating", "spelling", "shopping"}
)
_ED_NOUNS = frozenset({"need", "speed", "feed", "bleed", "seed", "bed", "red"})
_ADJECTIVE_ENDINGS = ("able", "ible", "ful", "ous", "ive", "less", "ional")
_ADJECTIVE_LENGTH = 6  # at least: "table" is no adjective
# Spelt with a vowel but pronounced with a consonant at the start, and the other way round.
_CONSONANT_SOUND = re.compile(r"(uni|use|usu|uti|uk\b|euro|one\b|once)")
_VOWEL_SOUND = re.compile(r"(hour|honest|honou?r|heir|atm\b|sms\b|mpg\b|fm\b|nfc\b|mp3\b|x-ray)")


def is_function_word(word: str) -> bool:
    """Tell whether a bare word is a function word or a polite phrase; contractions count."""
    return word in FUNCTION_WORDS or word.split("'")[0] in FUNCTION_WORDS


def stem(word: str) -> str:
    """Remove the final s of a bare word if it looks like that of a plural or a verb.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import stem
    >>> [stem(word) for word in ["cards", "currencies", "purchases", "taxes", "status", "gas"]]
    ['card', 'currency', 'purchase', 'tax', 'status', 'gas']
    """
    if not _has_s(word):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


def is_akin(one: str, other: str) -> bool:
    """Tell whether two stems are equal, or one has at least four letters and begins the other.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import is_akin
    >>> is_akin("transfer", "transferred"), is_akin("call", "calling"), is_akin("car", "card")
    (True, True, False)
    """
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) >= 4 and long.startswith(short))


def label_stems(name: str) -> frozenset[str]:
    """Stems of the words of a label's name, without function words."""
    words = (bare(word) for word in re.split(r"[\s_/]+", name))
    return frozenset(stem(word) for word in words if word and not is_function_word(word))


def is_protected(words: Sequence[str], position: int) -> bool:
    """Tell whether a word looks like a number, a counted thing or a name, which stay as they are.

    Numbers contain a digit or are spelt out; the word after one belongs to it, as in "5 minutes".
    Names have a capital letter that is not due to the start of a sentence, or are on a short list
    of weekdays, months, places, brands and first names. In a text without capitals, other names
    cannot be distinguished from nouns.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import is_protected
    >>> words = "Did John pay 5 euros on monday?".split()
    >>> [word for position, word in enumerate(words) if is_protected(words, position)]
    ['John', '5', 'euros', 'monday?']
    """
    core = split_affixes(words[position]).core
    before = words[position - 1] if position else ""
    if _is_number(core) or core.lower() in NAMES:
        return True
    if _is_number(before) and before[-1].isalnum():
        return True
    starts = not position or _SENTENCE_END.search(before) is not None
    tail = core[1:] if starts else core
    return any(letter.isupper() for letter in tail) and not is_function_word(bare(core))


def fits(words: Sequence[str], position: int, candidate: str) -> bool:
    """Tell whether a bare word may replace the word at a position.

    Both must have a part of speech in common: base form of a verb, past tense, participle,
    ``-ing`` form, adverb, adjective, or noun. If the old word can be several, as *order* can, the
    word before it decides. Verbs of two words ("turn off") are not replaced, and names replace
    nothing.

    Parameters
    ----------
    words : sequence of str
        The words of the text.
    position : int
    candidate : str

    Returns
    -------
    bool

    Examples
    --------
    >>> from skcap.adversarial.word_forms import fits
    >>> words = "please order my order".split()
    >>> fits(words, 1, "cancel"), fits(words, 3, "cancel"), fits(words, 3, "card")
    (True, False, True)
    """
    old = bare(words[position])
    before = words[position - 1].lower() if position else ""
    after = bare(words[position + 1]) if position + 1 < len(words) else ""
    if candidate in NAMES or (after in PARTICLES and "verb" in _roles(old)):
        return False
    singular = stem(candidate)
    if _has_s(old) and (singular in UNCOUNTABLE or stem(_add_s(singular)) != singular):
        return False
    return bool(_roles_after(before, _roles(old)) & _roles(candidate))


def is_base_verb(words: Sequence[str], position: int) -> bool:
    """Tell whether the word at a position is the base form of a verb, as in a request.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import is_base_verb
    >>> words = "please order my order".split()
    >>> is_base_verb(words, 1), is_base_verb(words, 3)
    (True, False)
    """
    before = words[position - 1].lower() if position else ""
    return "verb" in _roles_after(before, _roles(bare(words[position])))


def match_form(old: str, new: str) -> str:
    """Give a bare word the number, case and punctuation of the word that it replaces.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import match_form
    >>> match_form("Cards?", "currency"), match_form("alarm", "timers")
    ('Currencies?', 'timer')
    """
    lead, core, trail = split_affixes(old)
    wants_s, has_s = _has_s(core.lower()), _has_s(new)
    if wants_s and not has_s:
        new = _add_s(new)
    elif has_s and not wants_s:
        new = stem(new)
    if core[:1].isupper():
        new = new[:1].upper() + new[1:]
    return lead + new + trail


def article_for(word: str) -> str:
    """Return "a" or "an", according to the first sound of a bare word.

    Examples
    --------
    >>> from skcap.adversarial.word_forms import article_for
    >>> [article_for(word) for word in ["alarm", "card", "euro", "hour", "atm"]]
    ['an', 'a', 'a', 'an', 'an']
    """
    if _VOWEL_SOUND.match(word):
        return "an"
    return "an" if word[:1] in tuple("aeiou") and not _CONSONANT_SOUND.match(word) else "a"


def _has_s(word: str) -> bool:
    if len(word) <= 3 or not word.endswith("s") or word in NOT_PLURAL:
        return False
    return not word.endswith(("ss", "us", "is", "'s"))


def _add_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + "s"


def _is_number(word: str) -> bool:
    return any(letter.isdigit() for letter in word) or bare(word) in NUMBER_WORDS


def _roles_after(before: str, roles: frozenset[str]) -> frozenset[str]:
    """Roles that a word can have after another word, which is "" at the start of a text."""
    if before == "how":
        return frozenset()  # "how long" is one notion
    if before in DETERMINERS:
        return roles - {"verb", "past"}
    if before in VERB_CUES and roles == {"noun"}:
        return frozenset({"verb"})  # one that the lists lack
    if {"verb", "noun"} <= roles:
        # After a word that is no cue of a verb, more often than not a compound: "exchange rate".
        starts = not before or before in ("and", "or") or before[-1] in ",.;:!?"
        return roles - ({"noun"} if starts or before in VERB_CUES else {"verb"})
    if {"past", "participle"} <= roles:
        return roles - ({"past"} if before in BE_AND_HAVE else {"participle"})
    return roles


def _roles(word: str) -> frozenset[str]:
    base = stem(word)
    if base in VERBS_AND_NOUNS:
        return frozenset({"verb", "noun"})
    if base in VERBS:
        return frozenset({"verb"})
    if word in ADVERBS or (word.endswith("ly") and word not in ADJECTIVES):
        return frozenset({"adverb"})
    if past := {r for r, of in (("past", PAST_FORMS), ("participle", PARTICIPLES)) if word in of}:
        return frozenset(past)
    if word.endswith("ed") and word not in _ED_NOUNS:
        return frozenset({"past", "participle"})
    if word.endswith("ing") and word not in _ING_NOUNS:
        return frozenset({"ing", "noun"} if base in _ING_VERBS_AND_NOUNS else {"ing"})
    is_long = len(word) >= _ADJECTIVE_LENGTH
    if word in ADJECTIVES or (is_long and word.endswith(_ADJECTIVE_ENDINGS)):
        return frozenset({"adjective"})
    return frozenset({"noun"})
