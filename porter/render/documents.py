"""The one JSON document of a command: every key is always there, null when it is not known."""

from __future__ import annotations

from collections.abc import Mapping

from porter.errors import PorterError
from porter.jsontypes import JSONObject

SCHEMA = 1
MODEL_KEYS = ("repo", "verdict", "family", "facts", "files", "todo", "checks", "weights", "smoke")
WEIGHT_KEYS = ("totals", "unmapped", "missing", "shape", "duplicate", "partial", "dropped", "suggested_mapper", "bytes")
KEYS: Mapping[str, tuple[str, ...]] = {
    "inspect": MODEL_KEYS,
    "new-model": MODEL_KEYS,
    "check-weights": WEIGHT_KEYS,
    "smoke-test": ("device", "engine", "rungs", "parity"),
    "undo": ("port", "files"),
    "explain": ("causes", "unknown", "frame"),
    "doctor": ("python", "porter", "vllm", "packages", "device", "tools", "hub"),
}


def error_json(error: PorterError) -> JSONObject:
    return {"code": error.code, "message": error.message, "hint": error.hint, "where": error.where}


def document(command: str, *, ok: bool, error: JSONObject | None, body: JSONObject | None = None) -> JSONObject:
    """The envelope around a command's own keys."""
    keys = dict.fromkeys(KEYS.get(command, ()))
    return {"schema": SCHEMA, "command": command, "ok": ok, "error": error, **keys, **(body or {})}
