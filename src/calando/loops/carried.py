"""What is ours in the state of an optimizer, so that whoever saves the optimizer has saved it.

It stands under "calando". What is plain numbers and texts stands in the first group too, as JSON: FSDP and
torch.distributed.checkpoint save groups and tensors, and leave out all else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer

__all__ = ["KEY", "pop_from_groups", "put", "take"]

KEY = "calando"


def put(state_dict: dict[str, Any], entry: dict[str, Any]) -> None:
    """Into a state that an optimizer has just made."""
    state_dict[KEY] = entry
    text = _as_text(entry)
    if text is not None and state_dict["param_groups"]:
        state_dict["param_groups"][0][KEY] = text


def take(state_dict: dict[str, Any]) -> Any:
    """Out of a state that an optimizer is about to load: the shallow copy that torch hands to hooks; None if missing.

    What the caller's state holds stays there.
    """
    entry = state_dict.pop(KEY, None)
    groups = state_dict["param_groups"]
    texts = [group[KEY] for group in groups if KEY in group]
    state_dict["param_groups"] = [{key: value for key, value in group.items() if key != KEY} for group in groups]
    return _as_entry(texts[0]) if entry is None and texts else entry


def pop_from_groups(optimizer: Optimizer) -> Any:
    """What an optimizer holds that loaded a state before anything of ours was there to take it; None if nothing."""
    texts = [group.pop(KEY) for group in optimizer.param_groups if KEY in group]
    return _as_entry(texts[0]) if texts else None


def _as_text(entry: Mapping[str, Any]) -> str | None:
    """None where JSON would lose something, such as an average's tensors."""
    try:
        text = json.dumps(entry)
    except TypeError:
        return None
    return text if json.loads(text) == entry else None


def _as_entry(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text  # of something else; who takes it says so
