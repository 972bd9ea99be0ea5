"""What every test runs under."""

from hypothesis import settings

# A deadline in milliseconds is a timing: it fails on a busy machine and says nothing of the code.
settings.register_profile("moorage", deadline=None)
settings.load_profile("moorage")
