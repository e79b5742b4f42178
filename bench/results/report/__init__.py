"""The report: one self-contained page, made from records and from nothing else."""
