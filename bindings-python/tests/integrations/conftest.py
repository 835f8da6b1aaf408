"""What holds for all tests of integrations?"""

import os

# Before any of them is imported: no framework's telemetry from a test run.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"
