"""Run by the interpreters of `children.without` as they start."""

import importlib.metadata
import os
import sys

hidden = os.environ["TEST_WITHOUT"].split(",")
distributions = importlib.metadata.distributions
importlib.metadata.distributions = lambda **kwargs: (
    found for found in distributions(**kwargs) if not any(name in str(getattr(found, "_path", "")) for name in hidden)
)
for name in hidden:
    sys.modules[name] = None  # type: ignore[assignment]
