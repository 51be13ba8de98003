"""What held the memory of a test, as the page's scripts read it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from pytest_tfmem.history.flames import read_flame
from pytest_tfmem.page.island import HeldData, HolderData
from pytest_tfmem.page.shown import shown
from pytest_tfmem.report.explanation import called_from, newness, place, sentence, shown_holders, what_of_it
from pytest_tfmem.units import format_size

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_tfmem.explanations import Explanation, Holder

_MOST = 50


def held(one: Explanation, flames: Path | None) -> HeldData:
    """The explanation, or why there is none. `flames`: the folder with flame graphs, if it is known."""
    return HeldData(
        said=sentence(one),
        holders=[_holder(holder, one.peak_bytes) for holder in shown_holders(one, _MOST)],
        notes=[*map(shown, one.notes)],
        flame=shown(one.flame_graph),
        picture=_picture(one.flame_graph, flames),
    )


def _picture(name: str, flames: Path | None) -> str:
    """For an `img` element, in which no script of a picture runs, and nothing of it is loaded from elsewhere."""
    content = read_flame(flames, name) if flames and name else b""
    return f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}" if content else ""


def _holder(holder: Holder, whole: int) -> HolderData:
    return HolderData(
        size=format_size(holder.bytes),
        share=round(1000 * holder.bytes / max(whole, 1)),
        new=newness(holder),
        place=place(holder),
        detail=", ".join(filter(None, [what_of_it(holder), called_from(holder)])),
    )
