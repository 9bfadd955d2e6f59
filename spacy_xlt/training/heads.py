"""`spacy_xlt.head_seed.v1`: runs that differ in the order of their data, and not in how their new layers begin."""

from __future__ import annotations

from collections.abc import Callable

from spacy.language import Language

from ..errors import error


def create_head_seed(seed: int = 0) -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.head_seed.v1`, for `[initialize.before_init]`: what is initialized at random has
    a seed of its own, and so has the sample of the corpus that gives the labels their order.

    Weights can be averaged over runs only where their new layers started from the same values (Schmidt et al. 2023,
    "Free Lunch"). `[training] seed` still decides the order of the data and the dropout: spaCy sets it once more
    before the first update.

    seed (int): The seed, the same in all runs.
    RAISES (XltError): E601 for a value that is no seed.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise error("E601", setting="seed", value=seed, expected="a whole number from 0")

    def set_seed(nlp: Language) -> Language:
        from thinc.api import fix_random_seed

        fix_random_seed(seed)
        return nlp

    return set_seed
