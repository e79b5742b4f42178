"""Students: episodes of answers, made-up and recorded."""
