"""The *mood* task: one short sentence about a thing, rewarded for how pleasant it sounds. For real language models.

A policy finds out soon that the judge counts words and reads nothing, which anyone can follow in the samples.
"""

from __future__ import annotations

from sapo_viz.rollouts.table import TextTable

SYSTEM = "Answer in one short sentence."
TEMPLATE = "Tell me about {question}."
TOKENS = 24
_THINGS = (
    "the sea", "Monday", "a cat", "the rain", "bread", "the moon", "a river", "winter", "the dentist", "a train",
    "coffee", "the desert", "a library", "homework", "the sun", "a spider", "music", "traffic", "a garden", "the dark",
    "tea", "a mountain", "taxes", "the city", "a dog", "fog", "an old house", "the market", "a bicycle", "noise",
    "snow", "a letter", "the kitchen", "a queue", "mushrooms", "the theatre", "a forest", "rust", "an island", "salt",
    "a birthday", "the dust", "a bridge", "honey", "a storm", "the morning", "an exam", "paper", "the wind", "a clock",
    "football", "a broken cup", "the harbour", "onions", "a hospital", "the stars", "an umbrella", "mud", "a farmer",
    "silence", "the airport", "a violin", "ice", "a neighbour", "the autumn", "soup", "a lawyer", "the north", "a key",
    "waiting", "a lake", "the bus", "cheese", "a wolf", "the office", "a dream", "sand", "a teacher", "the night",
    "a shoe", "the past", "an apple", "war", "a child", "the radio", "iron", "a hotel", "the law", "a fire", "age",
    "the postman", "a bee", "money", "a tower", "the flu", "a song", "grass", "a prison", "the future", "a poem",
)  # fmt: skip


def mood_table() -> TextTable:
    """A hundred things to speak of, pleasant ones and others."""
    return TextTable("mood", ("question",), (_THINGS,))
