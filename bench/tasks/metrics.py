"""What is known of metrics by name; nothing here takes time to load."""

HIGHER_IS_BETTER = ("accuracy", "auc")  # the others are losses
