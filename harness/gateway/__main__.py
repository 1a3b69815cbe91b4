"""`python -m harness.gateway`: the gateway's own process; `attach` starts it."""

import sys

from harness.gateway.server import main

sys.exit(main())
