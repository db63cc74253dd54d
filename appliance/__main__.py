"""`python -m appliance` is `vedette`."""

import sys

from appliance.cli import main

sys.exit(main())
