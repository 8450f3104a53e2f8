"""`python -m tests.faults`: the long form."""

import sys
from pathlib import Path

import pytest

sys.exit(pytest.main([str(Path(__file__).parent), "--long", "-v", "--durations=0", *sys.argv[1:]]))
