"""`python -m bbatch` is `bbatch`."""

import sys

from .cli import main

sys.exit(main())
