"""`python -m conductor.cli`, for where the `conductor` script is not on the path."""

import sys

from conductor.cli.main import main

sys.exit(main())
