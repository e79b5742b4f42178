"""Launchers: one file each, named as on the command line; see :mod:`bench.running.workers`."""
