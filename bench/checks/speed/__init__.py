"""How fast a meta-iteration is, of this suite and of its peers, measured side by side.

``contestants`` holds one file for each way to compute it. Each runs in processes of its own
(``worker``), in whichever environment it can live in; ``measure`` asks them in turn.
"""
