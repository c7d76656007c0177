"""The kernel of `phrases.py`: one step of the automaton for each character."""

from __future__ import annotations

import numpy as np
from numba import njit, types

_LONGS = types.int64[::1]
_INTS = types.int32[::1]


@njit(
    types.UniTuple(_LONGS, 3)(  # type: ignore[no-untyped-call]
        *(_INTS, _LONGS, _LONGS, types.uint16[::1], types.uint16[:, ::1], _INTS, _INTS, _LONGS, _LONGS),
    ),
    cache=True,
    nogil=True,
)
def find(codes, line_start, line_end, symbols, moves, bounds, phrases, lengths, kinds):  # type: ignore[no-untyped-def]
    """Starts, ends and kinds, [found] each."""
    room = 64
    starts = np.empty(room, np.int64)
    ends = np.empty(room, np.int64)
    found = np.empty(room, np.int64)
    count = 0
    for line in range(len(line_start)):
        state = np.uint16(0)
        for c in range(line_start[line], line_end[line]):
            code = codes[c]
            state = moves[state, symbols[code]] if code < len(symbols) else np.uint16(0)
            for at in range(bounds[state], bounds[state + 1]):
                if count == room:
                    room *= 2
                    starts = np.concatenate((starts, np.empty(count, np.int64)))
                    ends = np.concatenate((ends, np.empty(count, np.int64)))
                    found = np.concatenate((found, np.empty(count, np.int64)))
                starts[count] = c + 1 - lengths[phrases[at]]
                ends[count] = c + 1
                found[count] = kinds[phrases[at]]
                count += 1
    return starts[:count].copy(), ends[:count].copy(), found[:count].copy()
