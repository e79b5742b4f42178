"""Errors, plug-ins by name, and files that are read and written safely; nothing else belongs here.

What knows of tasks, of learning, of results or of commands does not, however small it is.
"""
