"""``python -m jaxgraphs`` is the command line."""

import sys

from jaxgraphs.cli.main import main

sys.exit(main())
