"""The numbers that `LinkProjector` goes by. They were chosen on the sets of `benchmarks/projection_quality.py`, of
Romance and Germanic languages, and have no other source."""

# What a link from outside a span counts against one from inside
FOREIGN = 0.5
# What a token between linked ones costs that has no link, or links that cancel out
GAP = 0.02
# Of a span in parts: how much of the best part's gain another part must have
MIN_PART = 0.4
# What an identical word counts in the place of a link
SPELLING = 0.5
# In a sentence of more tokens, only the nearest identical word counts
LONG = 512
# The score of a place that only the links of the neighbours point at
POSITION = 0.25
# How many times longer than the span, and one more, such a place may be, in tokens
POSITION_RATIO = 2

# Letters of the longest word in lower case that counts as an article, a preposition and the like
PARTICLE = 3
# A particle is left out if its source word has a link to a content word besides, with at least so many times the
# particle's weight. Articles and prepositions come before what they belong to, so that at the end it takes more: "mer"
# in "fruits de mer" is as short as a particle.
BESIDES_BEFORE = 0.2
BESIDES_AFTER = 2.0
# From so many source tokens on a span is read as a clause and not as a name
CLAUSE = 8
# And from so many on if it reaches up to punctuation or the end of its sentence
SHORT_CLAUSE = 6
# Up to this weight a link elsewhere is no claim to a word at the end of a clause
WEAK = 0.4

# Alternatives considered for each span of a conflict
ALTERNATIVES = 12
# Partial placements looked at for a conflict before the best one so far is taken
MAX_NODES = 4000
# Spans of one conflict that are placed together; of more, so many at a time
MAX_TOGETHER = 64
