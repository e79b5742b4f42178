"""Who computes the right meta-gradient: every contestant on every kind of layer, in float64.

``layers`` says what is differentiated, ``reference`` is the plain loop that all are held against,
``compare`` asks the contestants of :mod:`bench.checks.speed.contestants`, and ``table`` shows what
came out.
"""
