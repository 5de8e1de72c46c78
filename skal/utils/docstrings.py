"""Parameter texts that are written once: a docstring takes them from another docstring by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C", bound=Callable[..., Any])

# An entry of numpydoc, such as "lr : float", with its indented text; and a line such as "{lr, batch_size}".
_ENTRY = re.compile(r"^(\w+(?:, \w+)*) :.*\n(?:(?:[ \t].*)?\n)*", re.MULTILINE)
_PLACEHOLDER = re.compile(r"^\{(\w+(?:,\s+\w+)*)\}$", re.MULTILINE)


def inherits_doc(*sources: object, strict: bool = True) -> Callable[[C], C]:
    """Decorate a class or function so that its docstring takes entries from other docstrings.

    A line such as ``{lr, batch_size}`` among the parameters, or the attributes, is replaced by the entries of these
    names. It may span several lines, which contain no other text.

    Parameters
    ----------
    *sources : object
        Objects whose docstrings have these entries. The first one with an entry counts; the base classes come last.
    strict : bool, default=True
        Whether a name without an entry is an error; otherwise its line is left unchanged.

    Raises
    ------
    LookupError
        If none of the sources has an entry, and `strict` is true.

    Examples
    --------
    >>> from skal.utils.docstrings import inherits_doc
    >>> class Base:
    ...     '''
    ...     Parameters
    ...     ----------
    ...     lr : float
    ...         Learning rate.
    ...     '''
    >>> @inherits_doc()
    ... class Network(Base):
    ...     '''
    ...     Parameters
    ...     ----------
    ...     depth : int
    ...     {lr}
    ...     '''
    >>> print(Network.__doc__)
    Parameters
    ----------
    depth : int
    lr : float
        Learning rate.
    """

    def fill(cls: C) -> C:
        if cls.__doc__:  # python -OO has none
            texts = _entries(*sources, *getattr(cls, "__mro__", ())[1:])
            cls.__doc__ = _PLACEHOLDER.sub(
                lambda line: _joined(cls, texts, line, strict), inspect.cleandoc(cls.__doc__)
            )
        return cls

    return fill


def _entries(*sources: object) -> dict[str, str]:
    texts: dict[str, str] = {}
    for source in reversed(sources):
        for entry in _ENTRY.finditer(inspect.cleandoc(source.__doc__ or "") + "\n"):
            texts |= dict.fromkeys(entry[1].split(", "), entry[0].rstrip())
    return texts


def _joined(cls: Any, texts: dict[str, str], line: re.Match[str], strict: bool) -> str:
    wanted = re.split(r",\s+", line[1])
    unknown = [name for name in wanted if name not in texts]
    if unknown and not strict:
        return line[0]
    if unknown:
        raise LookupError(
            f"the docstring of {cls.__name__} takes {unknown[0]!r} from others, but none documents it; "
            "write its text, or name a source that has it"
        )
    return "\n".join(dict.fromkeys(texts[name] for name in wanted))  # names may share an entry
