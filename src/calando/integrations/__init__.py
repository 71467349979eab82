"""The former name of `calando.loops`."""

from calando.loops import __path__ as __path__
