"""How a learner learns: network, inner loop, meta-gradient, for all tasks at once."""
