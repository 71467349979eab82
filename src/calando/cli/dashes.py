"""What stands after `--` on the command line: the arguments of a person's own script, none of ours.

calando compare train.py fixed cosine --seeds 3 -- --data photos
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["WithArguments", "arguments_after_dashes"]

_ARGUMENTS: list[tuple[str, ...]] = []


class WithArguments(TyperCommand):
    """A command that keeps what stands after `--` for itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before it."""
        _ARGUMENTS.clear()
        if "--" in args:
            at = args.index("--")
            _ARGUMENTS[:] = [tuple(args[at + 1 :])]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line ends with it."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS…]"]


def arguments_after_dashes() -> tuple[str, ...]:
    """What stood after `--` in the command that runs."""
    return _ARGUMENTS[-1] if _ARGUMENTS else ()
