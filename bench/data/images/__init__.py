"""Images: episodes of them, and the packed cache that they are drawn from."""
