"""huggingface_hub's own HTTP session, with porter's patience: one place decides when to wait and when to give up."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar

from huggingface_hub import constants, get_session, get_token, set_client_factory
from huggingface_hub.utils import disable_progress_bars
from huggingface_hub.utils import logging as hub_logging

from porter.hub.failures import Busy, CutShort, is_transport
from porter.jsontypes import JSONObject

Result = TypeVar("Result")

WAITS = (0.5, 1.0, 2.0, 4.0)
LONGEST_WAIT = 60.0
TRANSPORT_TRIES = 3
TIMEOUT = 20.0
"""Seconds for connecting and between two packets; huggingface_hub's own session waits for ever."""


def hub_settings() -> JSONObject:
    """huggingface_hub's own settings as they hold now; nothing is asked of the network."""
    return {
        "endpoint": constants.ENDPOINT,
        "cache": str(constants.HF_HUB_CACHE),
        "offline": bool(constants.HF_HUB_OFFLINE),
        "token": get_token() is not None,
    }


@cache
def prepare() -> None:
    """Sessions made from now on raise Busy for 429 and 5xx: huggingface_hub's own unbounded waits never start."""
    usual = get_session()
    kind: Any = type(usual)
    hooks = {**usual.event_hooks, "response": [*usual.event_hooks.get("response", []), refuse_busy]}
    set_client_factory(lambda: kind(event_hooks=hooks, follow_redirects=True, timeout=TIMEOUT))
    disable_progress_bars()
    warnings.filterwarnings("ignore", module="huggingface_hub")
    hub_logging.set_verbosity_error()


def refuse_busy(response: Any) -> None:
    if response.status_code == 429 or response.status_code >= 500:
        raise Busy(response.status_code, seconds(response.headers.get("Retry-After")))


def seconds(header: str | None, now: datetime | None = None) -> float | None:
    """`Retry-After` in seconds from now; it is a number or an HTTP date, and None when it is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        return max((until - (now or datetime.now(timezone.utc))).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):  # TypeError: a date without its zone, or none at all
        return None


def patiently(action: Callable[[], Result], tries: int = TRANSPORT_TRIES) -> Result:
    """Runs `action` again after 429 and 5xx, and up to `tries` times over a broken network; raises the last failure."""
    for number, wait in enumerate(WAITS, start=1):
        try:
            return action()
        except Busy as busy:
            pause = busy.retry_after if busy.retry_after is not None else wait
            if pause > LONGEST_WAIT:
                raise
        except Exception as error:
            if not (isinstance(error, CutShort) or is_transport(error)) or number >= tries:
                raise
            pause = wait
        time.sleep(pause)
    return action()
