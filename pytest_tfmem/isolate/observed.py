"""What a test's process has said of itself, as far as it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_tfmem.isolate.sectionsseen import SectionsSeen

if TYPE_CHECKING:
    from pytest_tfmem.figures import Limit, Phase, Section
    from pytest_tfmem.isolate import wire
    from pytest_tfmem.measure.devices import DeviceMarks
    from pytest_tfmem.measure.kept import KeptSeries
    from pytest_tfmem.measure.marks import PhaseMarks


@dataclass
class Observed:
    """What is known of the test so far. `limits` are those that it has set itself."""

    phases: dict[Phase, PhaseMarks] = field(default_factory=dict)
    devices: dict[Phase, DeviceMarks | None] = field(default_factory=dict)
    limits: dict[str, Limit] = field(default_factory=dict)
    kept: KeptSeries | None = None
    out_of_memory: str = ""
    died: str = ""
    sections_seen: SectionsSeen = field(default_factory=SectionsSeen)

    @property
    def sections(self) -> list[Section]:
        """Those that the test has entered, as they are to be recorded."""
        return self.sections_seen.recorded_of_the_dead() if self.died else self.sections_seen.recorded()

    @property
    def used_tensorflow(self) -> bool:
        """Whether TensorFlow had made its devices by the end of the call."""
        marks = self.devices.get("call")
        return marks is not None and any(one.framework == "tensorflow" for one in marks.allocators)

    def take(self, said: wire.PhaseOver) -> None:
        """A phase is over."""
        self.phases[said.phase] = said.marks
        self.devices[said.phase] = said.devices
        self.sections_seen.phase_over(said.open_sections)
        self.kept = self.kept or said.kept
        self.out_of_memory = self.out_of_memory or said.out_of_memory
