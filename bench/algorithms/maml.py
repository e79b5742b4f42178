"""Model-agnostic meta-learning, first and second order."""

from bench.learning.gradient_based import GradientBased


class MAML(GradientBased):
    """MAML: an initialisation from which a few gradient steps fit a new task.

    ``theta <- theta - beta * grad_theta sum_t L_t^query(theta - alpha * grad L_t^support(theta))``

    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017 (arXiv:1703.03400), equation 1 and the meta-objective below it. With ``order=1`` the
    inner gradients are constants of the outer one (their section 5.2, "first-order MAML").

    All arguments are those of :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "MAML"
    recordable = True
