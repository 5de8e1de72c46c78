import os

# Whether to ask as often, and of as many examples, as the full numbers are; see conftest.py.
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
