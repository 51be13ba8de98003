"""Functions that a test has called in fresh processes: what is asked for, and what came of it."""

from __future__ import annotations

from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True):
    """A function of a module, by name, and its arguments: positional and named, as `plaindata` packs them."""

    module: str
    name: str
    arguments: bytes


class MeasureWanted(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Child to controller: call a function in a fresh process, and measure that. The child waits for CallMeasured.

    `number` tells this from every other that the child sends. It is the `repeat`-th of `repeats` calls on `side`, which
    has a name in a comparison, of the test's `measure`-th wish to have something measured. `runtime`: arguments of
    `tf_runtime`, as `plaindata` packs them, which go before the test's own.
    """

    number: int
    measure: int
    side: str
    repeat: int
    repeats: int
    call: Call
    runtime: bytes


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """An exception. `outcome` names pytest's own ("skip", "xfail", "fail", "exit"), which are of no module.

    With `arguments` its type is to be called, and `state` are its attributes then, both as `plaindata` packs them; no
    arguments where they are no plain data. `text` is what it says of itself, `trace` what Python prints of it.
    """

    module: str
    name: str
    text: str
    trace: str
    arguments: bytes | None = None
    state: bytes | None = None
    outcome: str = ""
    notes: list[str] = []


class Returned(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Child to controller: what came of Start.call, whose process is over.

    `value` is what it returned, as `plaindata` packs it, or `why_no_value` says why it cannot travel; `value_bytes` is
    the deep size of that, and `uncounted` what of it was not counted.
    """

    value: bytes | None = None
    why_no_value: str = ""
    value_bytes: int = 0
    uncounted: list[str] = []
    raised: Raised | None = None


class CallMeasured(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Controller to child, in answer to MeasureWanted.

    `refused` is a mistake in what was asked for; `died` how the process ended, where it did not end well. Otherwise
    `returned` is what the function's process said; `measurement` is encoded as it is on a report. `output` and `errors`
    are what was written to standard output and error, as far as they are not shown live.
    """

    number: int
    refused: str = ""
    died: str = ""
    returned: Returned | None = None
    measurement: dict[str, Any] = {}
    output: str = ""
    errors: str = ""
