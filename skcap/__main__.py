"""``python -m skcap``, the same as the command ``skcap``."""

import sys

from skcap.cli import main

if __name__ == "__main__":
    sys.exit(main())
