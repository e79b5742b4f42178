"""Plug-ins: one file, one algorithm; the file's name is its name on the command line."""
