"""Sizes that the networks share, in whichever library they are written."""

OUTPUTS, WIDTH = 3, 4  # classes, and numbers per row or word
IMAGE, CHANNELS = (2, 6, 6), 3
WORDS, PADDING = 7, 0  # that an embedding knows, and which of them stands for none
SEQUENCE = 5
