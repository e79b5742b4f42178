"""Plug-ins: one file, one suite; the file's name is its name on the command line."""
