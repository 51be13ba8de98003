"""A machine with GPUs that are not there: what it has and how it behaves, while processes run on it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.gpu_stub import build, layout
from tests.gpu_stub.account import MIB, Usage, initialise, mapped, new_file, start_time_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GIB = 1 << 30
_CACHE = Path(__file__).parent / ".built"


def libraries() -> Path:
    """The libraries' folder, where environment() finds them; CannotBuildError says what is missing here."""
    return build.libraries(_CACHE)


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A process that is not on this machine's stand-in libraries but holds memory on a card: another user's."""

    pid: int
    bytes: int
    name: str = "another"
    is_graphics: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class StubMig:
    """A part of a card in MIG mode. Its uuid begins with "MIG-"."""

    total_bytes: int
    uuid: str
    instance: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StubCard:
    """A card. Without a uuid or a PCI bus id it gets those of its place: "GPU-00000001-...", "0000:01:00.0".

    `reserved_bytes`: what the driver keeps for itself; `context_bytes`: what a process's context on the card costs;
    `has_pools`: cuda_malloc_async can be used; `has_memory_info`: NVML can tell what the card has, which it cannot on
    one that uses the machine's memory. With `mig`, the card is in MIG mode and has these devices.
    """

    total_bytes: int = 8 * GIB
    reserved_bytes: int = 0
    context_bytes: int = 300 * MIB
    compute_capability: tuple[int, int] = (8, 0)
    has_pools: bool = True
    has_memory_info: bool = True
    uuid: str = ""
    name: str = "NVIDIA Stand-in"
    pci_bus_id: str = ""
    foreign: Sequence[Foreign] = ()
    mig: Sequence[StubMig] = ()


class _Field:
    """An attribute that stands in the account: whoever sets it changes what all processes see from then on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, holder: Any, owner: type) -> Any:
        if holder is None:
            return self
        value = getattr(holder._record, self._name)
        return value.decode() if isinstance(value, bytes) else value

    def __set__(self, holder: Any, value: Any) -> None:
        setattr(holder._record, self._name, value.encode() if isinstance(value, str) else value)


class Card:
    """A card of a machine, which can be changed while processes run on it: `machine.cards[0].lost = True`."""

    total_bytes = _Field()
    reserved_bytes = _Field()
    context_bytes = _Field()
    has_pools = _Field()
    has_memory_info = _Field()
    lost = _Field()
    uuid = _Field()
    name = _Field()
    pci_bus_id = _Field()

    def __init__(self, record: layout.Card) -> None:
        self._record = record

    @property
    def foreign(self) -> list[Foreign]:
        return [
            Foreign(each.pid, each.bytes, each.name.decode(), bool(each.is_graphics))
            for each in self._record.foreign
            if each.pid
        ]

    @foreign.setter
    def foreign(self, processes: Sequence[Foreign]) -> None:
        for place in range(layout.MAX_FOREIGN):
            it = processes[place] if place < len(processes) else Foreign(0, 0, "")
            self._record.foreign[place] = layout.Foreign(it.bytes, it.pid, it.is_graphics, it.name.encode())


class StubMachine:
    """A machine of stand-in cards. Its attributes may be set at any time; processes see it at their next call.

    `driver_version`: as NVML says it; "537.13" is a Windows driver, as under WSL2. `cuda_driver_version`: 12090 is
    12.9.
    `process_list` is what NVML tells of processes:
      "namespace"      their numbers as they know them themselves, and true sizes
      "host"           numbers that they do not know, those of the host, `host_pid_offset` higher
      "zero"           right numbers, and 0 for every size (535.113 to 560 in a container)
      "unavailable"    right numbers, and no sizes (WSL2)
      "no permission"  nothing
      "scrambled"      garbage (535.54)
    `accounting`: accounting mode is on; `accounting_is_blind`: its marks are 0, and the dead are hidden (in a
    container).
    Failures: `cuda_init_error` and `nvml_init_error` are what the two initialisations return; `failing_allocation`: the
    number, from 1, of the allocation that fails in each process; `nvml_lost`: every call to NVML says that the GPU is
    lost, as after `nvml_calls_left` more calls; `cards[0].lost`: a card has fallen off its bus, for CUDA and NVML.
    """

    driver_version = _Field()
    cuda_driver_version = _Field()
    host_pid_offset = _Field()
    accounting = _Field()
    accounting_is_blind = _Field()
    cuda_init_error = _Field()
    nvml_init_error = _Field()
    failing_allocation = _Field()
    nvml_lost = _Field()
    nvml_calls_left = _Field()

    def __init__(
        self,
        folder: Path,
        *,
        cards: Sequence[StubCard] = (StubCard(),),
        driver_version: str = "580.65.06",
        cuda_driver_version: int = 12090,
        **attributes: Any,
    ) -> None:
        """A machine whose account lies in `folder`, where no other may have been. `attributes`: of those above."""
        self.path = folder / "machine"
        self._record = mapped(new_file(self.path))
        initialise(self._record)
        self.driver_version, self.cuda_driver_version = driver_version, cuda_driver_version
        self.host_pid_offset, self.nvml_calls_left = 100_000, layout.ENDLESS
        for place, card in enumerate(cards):
            self._add(place, card)
        for name, value in attributes.items():
            if not hasattr(type(self), name):
                raise TypeError(f"A machine has no {name!r}.")
            setattr(self, name, value)

    @classmethod
    def opened(cls, path: str | Path) -> StubMachine:
        """The machine whose account is at `path`, which TFMEM_STUB_MACHINE says in a process that is on it."""
        machine = cls.__new__(cls)
        machine.path = Path(path)
        machine._record = mapped(machine.path)
        return machine

    def _add(self, place: int, card: StubCard) -> None:
        index = self._record.card_count
        pci_bus_id = card.pci_bus_id or f"0000:{place + 1:02x}:00.0"
        record = layout.Card(
            total_bytes=card.total_bytes,
            reserved_bytes=card.reserved_bytes,
            context_bytes=card.context_bytes,
            compute_major=card.compute_capability[0],
            compute_minor=card.compute_capability[1],
            has_pools=card.has_pools,
            has_memory_info=card.has_memory_info,
            mig_enabled=bool(card.mig),
            parent=-1,
            uuid=(card.uuid or f"GPU-{place + 1:08x}-0000-4000-8000-{place + 1:012x}").encode(),
            name=card.name.encode(),
            pci_bus_id=pci_bus_id.encode(),
        )
        self._record.cards[index] = record
        self._record.card_count += 1
        self.cards[index].foreign = card.foreign
        for part in card.mig:
            self._add(
                place,
                dataclasses.replace(
                    card,
                    mig=(),
                    foreign=(),
                    uuid=part.uuid,
                    pci_bus_id=pci_bus_id,
                    total_bytes=part.total_bytes,
                    reserved_bytes=0,
                ),
            )
            added = self._record.cards[self._record.card_count - 1]
            added.parent, added.instance = index, part.instance

    @property
    def cards(self) -> list[Card]:
        """The cards in the driver's order, each followed by its MIG devices."""
        return [Card(record) for record in self._record.cards[: self._record.card_count]]

    @property
    def process_list(self) -> str:
        return layout.PROCESS_LISTS[self._record.process_list]

    @process_list.setter
    def process_list(self, what: str) -> None:
        self._record.process_list = layout.PROCESS_LISTS.index(what)

    def environment(self, base: Mapping[str, str] = os.environ, *, nvml: bool = True) -> dict[str, str]:
        """Variables for a child process, in which the GPUs are this machine's; those of `base` that matter are kept.

        `nvml`: whether there is a libnvidia-ml, without which TensorFlow registers no GPU.
        """
        folder = libraries()
        found = [folder / "cuda", *([folder / build.DRIVER_FOLDER] if nvml else [])]
        path = os.pathsep.join([*map(str, found), *filter(None, [base.get("LD_LIBRARY_PATH")])])
        return {
            "LD_LIBRARY_PATH": path,
            "TFMEM_STUB_MACHINE": str(self.path),
            "TF_GPU_CUPTI_USE_STUB_INTERFACE": "true",  # else to start TensorFlow's profiler crashes
        }

    def calls(self, function: str) -> int:
        """How often the function was called, by all processes together."""
        return self.all_calls().get(function, 0)

    def all_calls(self) -> dict[str, int]:
        return {each.name.decode(): each.calls for each in self._record.functions if each.calls}

    def processes(self, card: int = 0) -> dict[int, Usage]:
        """What each living process has of the card, by process id."""
        found = {}
        for process in self._record.processes:
            if process.pid and process.start_time == start_time_of(process.pid):
                usage = Usage.of(process.usage[card])
                if usage.held_bytes:
                    found[process.pid] = usage
        return found

    def used_bytes(self, card: int = 0) -> int:
        """What all living processes hold on the card, the foreign ones too."""
        foreign = sum(each.bytes for each in self.cards[card].foreign)
        return foreign + sum(usage.held_bytes for usage in self.processes(card).values())
