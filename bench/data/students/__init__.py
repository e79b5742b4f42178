"""Students: episodes of answers, made-up and recorded; beliefs about them; a tutor's tools."""
