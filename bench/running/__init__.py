"""From a suite to its records: grids, training, resuming, several processes and devices."""
