"""How what was recorded is written: any text, any number, and a file whole or not at all."""

from __future__ import annotations

from itertools import compress
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_tfmem.wholefile import replace_whole

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.figures import Measurement, Timeline


def encoded(document: msgspec.Struct) -> bytes:
    """The struct as one line of JSON, its end included.

    Text that is no Unicode has its code points escaped; numbers that are not finite are left out.
    """
    return msgspec.json.encode(_writable(msgspec.to_builtins(document))) + b"\n"


def finite(measurement: Measurement) -> Measurement:
    """The measurement with a timeline whose points all have a time that JSON can hold."""
    timeline = measurement.timeline
    return measurement if timeline is None else msgspec.structs.replace(measurement, timeline=_finite_points(timeline))


def write_whole(path: Path, content: bytes) -> None:
    """Write the file so that `path`, if it is one, never holds half of it.

    Raises OSError, having removed what it made.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(content)  # what is /dev/stdout or a pipe is to be written to, not to be replaced by a file
        return
    replace_whole(path, content)


def _finite_points(timeline: Timeline) -> Timeline:
    kept = [isfinite(seconds) for seconds in timeline.seconds]
    checkpoints = [checkpoint for checkpoint in timeline.checkpoints if isfinite(checkpoint.seconds)]
    if all(kept):
        return msgspec.structs.replace(timeline, checkpoints=checkpoints)
    return msgspec.structs.replace(
        timeline,
        seconds=list(compress(timeline.seconds, kept)),
        rss_tree_bytes=list(compress(timeline.rss_tree_bytes, kept)),
        gpus=[msgspec.structs.replace(gpu, bytes=list(compress(gpu.bytes, kept))) for gpu in timeline.gpus],
        checkpoints=checkpoints,
    )


def _writable(data: Any) -> Any:
    """The data with what JSON cannot hold escaped (lone surrogates) or left out (numbers that are not finite)."""
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, list):
        return [_writable(item) for item in data if _finite(item)]
    if isinstance(data, dict):
        return {_writable(key): _writable(value) for key, value in data.items() if _finite(value)}
    return data


def _finite(value: object) -> bool:
    return not isinstance(value, float) or isfinite(value)
