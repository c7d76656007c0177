"""Loops that numba compiles, beside the tables and functions that use them: importing a module does not import numba.

A kernel's annotations are its signature, so that it is compiled once, for the types that it says, and refuses others:

    Rows: TypeAlias = Annotated[npt.NDArray[np.void], ROW]  # an array of records of the dtype ROW

    @kernel
    def lengths(words: Words, table: ReadBytes, out: Rows) -> None: ...

`npt.NDArray[...]` is a contiguous array of one dimension, `Annotated` with `READ_ONLY`, a number of dimensions or a
dtype of records what that says; a NamedTuple is passed as one; `int`, `float`, `bool` and numpy's scalars are scalars.
A kernel with an argument that is `Any` is compiled anew for every combination of types that it is called with.
The functions that kernels call are kernels too, or marked `inline` or `subroutine`: they have no signature, are
compiled with each kernel that calls them, and are plain functions to Python.
numba keeps the machine code of kernels on disk and renews it when the kernel's own file changes. Constants, tables and
functions of other files are frozen into it, so a digest of them all is part of the name that it is kept under.
"""

from __future__ import annotations

import dis
import hashlib
from collections.abc import Callable
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Annotated, Any, Generic, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

P = ParamSpec("P")
R = TypeVar("R")

READ_ONLY = "read-only"

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
ReadBytes = Annotated[npt.NDArray[np.uint8], READ_ONLY]
ReadCodes = Annotated[npt.NDArray[np.int32], READ_ONLY]
ReadInts = Annotated[npt.NDArray[np.int64], READ_ONLY]
IntRows = Annotated[npt.NDArray[np.int64], 2]
"""[rows, columns], contiguous by row. The names that begin with `Read` also take arrays that cannot be written."""


class Kernel(Generic[P, R]):
    """A function that is compiled, or loaded from disk, when it is first called."""

    def __init__(self, function: Callable[P, R], within: Literal["always", "never"] | None = None) -> None:
        self.function = function
        self.within = within
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """The values of the module that the function reads, by name."""
        function: Any = self.function
        read = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
        return {name: value for name, value in function.__globals__.items() if name in read}

    @cached_property
    def digest(self) -> str:
        """Of all that the machine code depends on: the function, its types and what is frozen into it."""
        function: Any = self.function
        code = function.__code__
        types = [_described(hint) for hint in get_type_hints(function, include_extras=True).values()]
        said = [repr((code.co_consts, types)), *(f"{n} {_described(v)}" for n, v in sorted(self.frozen.items()))]
        return hashlib.sha256(code.co_code + "\n".join(said).encode()).hexdigest()

    @cached_property
    def compiled(self) -> Any:
        """numba's dispatcher. It sees dispatchers where the function's module has kernels."""
        from numba import njit

        function: Any = self.function
        bound = {name: v.compiled if isinstance(v, Kernel) else v for name, v in self.frozen.items()}
        plain = FunctionType(function.__code__, bound, function.__name__, function.__defaults__, function.__closure__)
        plain.__module__, plain.__qualname__ = function.__module__, f"{function.__qualname__}_{self.digest[:16]}"
        if self.within:
            return njit(inline=self.within)(plain)
        return njit(self.signature(), cache=True, nogil=True)(plain)

    def signature(self) -> tuple[Any, ...] | None:
        """numba's types of the arguments; None where one may be anything. Raises TypeError for an annotation that has no
        type of numba's."""
        hints = get_type_hints(self.function, include_extras=True)
        arguments = {name: hint for name, hint in hints.items() if name != "return"}
        if Any in arguments.values():
            return None
        return tuple(_numba_type(hint, name) for name, hint in arguments.items())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        called: Callable[P, R] = self.function if self.within else self.compiled
        return called(*args, **kwargs)


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Marks a kernel."""
    return Kernel(function)


def inline(function: Callable[P, R]) -> Kernel[P, R]:
    """Marks a function that is written into the kernels which call it."""
    return Kernel(function, "always")


def subroutine(function: Callable[P, R]) -> Kernel[P, R]:
    """Marks a function that kernels call."""
    return Kernel(function, "never")


def compile_all(module: ModuleType) -> None:
    """Compiles the kernels of a module, or loads them from disk."""
    for value in vars(module).values():
        if isinstance(value, Kernel) and not value.within and value.__module__ == module.__name__:
            _ = value.compiled


def _described(value: Any) -> str:
    """Equal for values, functions and types that give the same machine code."""
    if isinstance(value, Kernel):
        return value.digest
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if hasattr(value, "_fields") and isinstance(value, type):
        fields = get_type_hints(value, include_extras=True).values()
        return f"{value.__module__}.{value.__qualname__}({', '.join(map(_described, fields))})"
    return value.__name__ if isinstance(value, ModuleType) else repr(value)


def _numba_type(hint: Any, name: str) -> Any:
    from numba import from_dtype, types

    extras: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *held = get_args(hint)
        extras = tuple(held)
    if get_origin(hint) is np.ndarray:
        records = [extra for extra in extras if isinstance(extra, np.dtype)]
        dtype = records[0] if records else np.dtype(get_args(get_args(hint)[1])[0])
        dimensions = next((extra for extra in extras if isinstance(extra, int)), 1)
        return types.Array(from_dtype(dtype), dimensions, "C", readonly=READ_ONLY in extras)
    if hasattr(hint, "_fields"):
        fields = get_type_hints(hint, include_extras=True)
        of_numba: Any = types
        return of_numba.BaseTuple.from_types(tuple(_numba_type(fields[field], field) for field in hint._fields), hint)
    if hint in (bool, int, float):
        return {bool: types.boolean, int: types.int64, float: types.float64}[hint]
    if isinstance(hint, type) and issubclass(hint, np.generic):
        return from_dtype(np.dtype(hint))
    raise TypeError(f"argument {name} of a kernel: expected an array, a NamedTuple or a scalar, got {hint}")
