"""The commands of ``maml-bench``: one file, one command; the file's name is its name.

A command has ``HELP``, one line; ``flags(parser)``, which declares its flags; and
``run(options, console)``, which may return an exit code. No logic lives here, and heavy imports
stay inside ``run``, so that ``--help`` and mistakes are answered at once. Files that begin with
``_`` are shared by several commands.
"""
