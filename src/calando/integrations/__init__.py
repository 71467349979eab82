"""The former name of `calando.loops`: `calando.integrations.x` is `calando.loops.x`."""

import importlib
import pkgutil
import sys

from calando import loops

for _name in [module.name for module in pkgutil.iter_modules(loops.__path__)]:
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = importlib.import_module(f"{loops.__name__}.{_name}")
