"""Students who are known by a few answers: what they can do, and what to ask next."""
