"""``python -m bench`` is ``maml-bench``."""

from bench.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
