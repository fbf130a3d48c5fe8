"""The name of what is given in Python: where it is defined, and a digest of its code and values.

So what was edited since is another plug-in: a study of the former one is not taken for it, here or in another process.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType
from typing import Any

_MOST_DEEP = 20
_FORM = re.compile(r"[^:\s]+:[^:\s]+~[0-9a-f]{8}")


def is_given_name(name: str) -> bool:
    """Whether a name is of that form, wherever it was given."""
    return _FORM.fullmatch(name) is not None


def given_name(target: object) -> str:
    """`module:qualified.name~digest` of a function, class or object. What a function calls does not count."""
    of = target if isinstance(target, type | FunctionType) else getattr(target, "func", type(target))
    digest = blake2b(digest_size=4)
    for part in _parts(target, 0):
        digest.update(b"%d:" % len(part) + part)
    module, name = getattr(of, "__module__", "?"), getattr(of, "__qualname__", type(of).__qualname__)
    return f"{module}:{name}~{digest.hexdigest()}"


def _parts(value: Any, depth: int) -> Iterator[bytes]:
    """What makes a value this one and no other."""
    inner: list[Any]
    if depth > _MOST_DEEP:
        inner = []
    elif isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell.cell_contents is not value]
        inner = [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    elif isinstance(value, CodeType):
        yield value.co_code
        inner = [value.co_consts, value.co_names, value.co_varnames]
    elif isinstance(value, MethodType):
        inner = [value.__func__, value.__self__]
    elif isinstance(value, partial):
        inner = [value.func, value.args, value.keywords]
    elif isinstance(value, type) and value.__module__ != "builtins":
        inner = [value.__qualname__, _own(vars(value))]
    elif isinstance(value, frozenset | set):
        inner = sorted(value, key=repr)
    elif isinstance(value, dict):
        inner = [pair for key in sorted(value, key=repr) for pair in (key, value[key])]
    elif isinstance(value, list | tuple):
        inner = list(value)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        inner = [type(value), vars(value)]
    else:
        yield _leaf(value)
        return
    yield type(value).__name__.encode()
    for one in inner:
        yield from _parts(one, depth + 1)


def _own(attributes: Any) -> dict[str, object]:
    """What a class says itself, without what Python adds."""
    return {
        name: getattr(value, "__func__", value)
        for name, value in attributes.items()
        if isinstance(value, FunctionType | staticmethod | classmethod) or not name.startswith("__")
    }


def _leaf(value: object) -> bytes:
    try:
        return pickle.dumps(value, protocol=4)
    except Exception:  # noqa: BLE001 - whatever it raises, it cannot be written
        return repr(value).encode()
