"""What held the memory at the peak of a figure: the explanation, and what it names."""

from __future__ import annotations

from typing import Literal

import msgspec


class Holder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that held memory at a peak: `bytes` in `count` pieces.

    `what`: the function, or the operation, that asked for them; `where`: "file:line", counted from the root directory
    where it is in there, empty if that is not known. `detail`: the frames that were folded away, or a shape and dtype.
    `path`: the user's own frames, from the outermost in to that one, each "function file:line".
    `new`: whether it held nothing in the run that this is held against, or less by more than a little; None where there
    is none. `before_bytes`: what it held there.
    """

    bytes: int
    what: str
    kind: Literal["python", "native", "tensor"]
    count: int = 1
    where: str = ""
    detail: str = ""
    path: list[str] = []
    new: bool | None = None
    before_bytes: int | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What held the memory at the peak of one figure, by a second run of the test.

    `peak_bytes`: what was held at the peak of that run, as `source` counts it, which need not be as the figure's own
    counter does; `holders`: what held it, the largest first, at most 50; `unexplained_bytes`: the rest. `device`: the
    GPU, for a GPU's figure. `allocator`: TensorFlow's allocator that was in force in that run, if any was. `seconds`:
    how long that run took. `flame_graph`: the name of the file with all of it, beside the run file. `against`: the
    earlier run by which holders are new. `failed`: why there is no explanation, a clause; all else is then empty.
    `notes`: what the reader should know, each a sentence without a full stop.
    """

    figure: str
    device: str = ""
    peak_bytes: int = 0
    holders: list[Holder] = []
    unexplained_bytes: int = 0
    source: str = ""
    allocator: str = ""
    seconds: float = 0.0
    flame_graph: str = ""
    against: str = ""
    failed: str = ""
    notes: list[str] = []
