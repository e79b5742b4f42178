"""One-parameter item response theory, fitted by marginal maximum likelihood."""

from bench.algorithms.two_pl import TwoPL


class Rasch(TwoPL):
    """The log-odds of a right answer are ``a theta + d_item``: items differ in difficulty alone.

    Rasch, "Probabilistic Models for Some Intelligence and Attainment Tests", 1960. Abilities are
    standard normal, so that the common ``a`` is the standard deviation of what is usually called
    the ability.

    Args:
        **kwargs: see :class:`bench.algorithms.two_pl.TwoPL`.
    """

    label = "Rasch, posterior mean"
    recordable = True

    discriminates = False
