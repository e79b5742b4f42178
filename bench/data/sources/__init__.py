"""Meta-Dataset's own files (Triantafillou et al. 2020), without TensorFlow."""
