"""``compare``: from data of one's own to the method to use. Read first: comparing.py."""
