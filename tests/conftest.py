"""What every test stands on."""

import os

# One thread: two workers share two cores, and bits are compared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

settings.register_profile("calando", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calando")
