"""Plug-ins: one file, one data set; the file's name is its name on the command line."""
