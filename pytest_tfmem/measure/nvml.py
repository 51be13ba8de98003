"""What NVIDIA's driver says of this machine's GPUs and of the processes on them, by its management library.

Makes no CUDA context. NVML is safe to call from any thread, but all calls wait for one lock of the driver, for which
CUDA waits too: a list of processes takes some 2 ms, the memory in use 0.01 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_tfmem.measure.nvml_library import DriverError, Library, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPUTE = "Compute"
_LISTS = (_COMPUTE, "MPSCompute", "Graphics")  # a process on a card may stand in any of them, or in two
_LARGEST_PID = 1 << 22  # Linux gives none above: PID_MAX_LIMIT


@dataclass(frozen=True, kw_only=True)
class DriverCard:
    """A GPU as the driver has it, or a part of one under MIG.

    `uuid`: "GPU-..." or, of a part, "MIG-...". `pci_bus_id`: as CUDA writes it, "0000:01:00.0". `total_bytes`: None
    of a card that has no memory of its own. `split`: MIG has divided it, and only its parts can be used.
    """

    index: int
    uuid: str
    pci_bus_id: str
    name: str
    total_bytes: int | None
    split: bool = False


class Driver:
    """The driver, asked through nvidia-ml-py. Opened when it is first asked, and again in a fork; close it at the end.

    A card is named by its UUID or its PCI bus id, never by an index, which CUDA counts otherwise. Whatever goes
    wrong is a DriverError. `list_calls` counts how often a list of processes was asked for.
    """

    def __init__(self) -> None:
        self.list_calls = 0
        self._library = Library()
        self._totals: dict[str, int | None] = {}
        self._refused: set[tuple[str, str]] = set()

    def version(self) -> str:
        """The driver's own, such as "580.65.06"."""
        return text(self._library.ask("nvmlSystemGetDriverVersion"))

    def names(self) -> tuple[str, ...]:
        """Names of the GPUs, in the driver's order."""
        return tuple(text(self._library.ask("nvmlDeviceGetName", handle)) for handle in self._by_index())

    def cards(self) -> list[DriverCard]:
        """The cards that answer, those that MIG has split followed by their parts."""
        return [card for card in self.listed() if isinstance(card, DriverCard)]

    def listed(self) -> list[DriverCard | DriverError]:
        """Every card there is, or why it does not answer; one that MIG has split is followed by its parts."""
        found: list[DriverCard | DriverError] = []
        for index in range(self._library.ask("nvmlDeviceGetCount")):
            try:
                handle = self._library.ask("nvmlDeviceGetHandleByIndex", index)
                card = self._card(index, handle)
                found.append(card)
                found += [self._card(index, part, card.pci_bus_id) for part in self._parts(card, handle)]
            except DriverError as error:
                found.append(error)
        return found

    def locate(self, uuid: str, pci_bus_id: str) -> str:
        """The UUID by which the driver has the card that CUDA calls by either.

        CUDA's UUIDs have no prefix of their own, so a part may come as "GPU-...". A part has its card's PCI bus id.
        """
        digits = uuid.partition("-")[2]
        for name in (uuid, f"MIG-{digits}") if digits else ():
            try:
                self._library.handle(name)
            except DriverError as error:
                if error.kind != "unknown":
                    raise
            else:
                return name
        if uuid.startswith("MIG-") or not pci_bus_id:
            raise DriverError(f"the driver does not know {uuid or 'the card'}", "unknown")
        return text(self._library.ask("nvmlDeviceGetUUID", card=pci_bus_id))

    def total_bytes(self, card: str) -> int | None:
        """The card's memory; None if it has none of its own."""
        if card not in self._totals:
            self._totals[card] = self._total(self._library.handle(card))
        return self._totals[card]

    def used_bytes(self, card: str) -> int:
        """Memory of the card in use, by anybody; without what the driver reserves for itself if it says so.

        nvmlDeviceGetMemoryInfo_v2, on older drivers nvmlDeviceGetMemoryInfo: of one card always the same of the two.
        """
        if ("memory", card) not in self._refused:
            try:
                return int(
                    self._library.ask(
                        "nvmlDeviceGetMemoryInfo", self._library.constant("nvmlMemory_v2"), card=card
                    ).used
                )
            except DriverError as error:
                if error.kind not in {"unsupported", "unknown", "module"}:
                    raise
                self._refused.add(("memory", card))
        return int(self._library.ask("nvmlDeviceGetMemoryInfo", card=card).used)

    def processes(self, card: str, *, until: int | None = None) -> dict[int, int | None]:
        """Bytes that the driver charges to each process on the card; None where it does not say how many.

        Lists of compute, MPS and graphics processes, together; read on only until one of them has the process
        `until`. What cannot be, as the first drivers of the 535 series had it, is a DriverError.
        """
        found: dict[int, int | None] = {}
        for kind in _LISTS:
            for pid, size in self._processes(kind, card):
                known = found.get(pid)
                found[pid] = size if known is None else max(known, size or 0)
            if until in found:
                break
        return found

    def counts_peaks(self, card: str) -> bool:
        """Whether accounting is on. Raises DriverError where the card has none, as under MIG."""
        return bool(self._library.ask("nvmlDeviceGetAccountingMode", card=card))

    def accounted_bytes(self, card: str, pid: int) -> int:
        """Most that the driver has charged to the process since it began: a high-water mark, of every allocation.

        nvmlDeviceGetAccountingStats. Raises DriverError too where the mark is 0, as it stays inside containers.
        """
        if not self.counts_peaks(card):
            raise DriverError("accounting is off", "off")
        peak = self._library.ask("nvmlDeviceGetAccountingStats", pid, card=card).maxMemoryUsage
        if not peak:
            raise DriverError("accounting counted nothing for the process", "unknown")
        return int(peak)

    def process_name(self, pid: int) -> str:
        """What the driver calls the process, the last part of its path."""
        return text(self._library.ask("nvmlSystemGetProcessName", pid)).rpartition("/")[2]

    def close(self) -> None:
        """Let go of the library. The driver may be asked again, and is then opened again."""
        self._library.close()

    def _processes(self, kind: str, card: str) -> Iterator[tuple[int, int | None]]:
        if (kind, card) in self._refused:
            return
        self.list_calls += 1
        try:
            listed = self._library.ask(f"nvmlDeviceGet{kind}RunningProcesses_v3", card=card)
        except DriverError as error:
            if kind == _COMPUTE or error.kind not in {"unsupported", "module"}:
                raise
            self._refused.add((kind, card))  # asking again would cost as much as asking for what there is
            return
        for process in listed:
            pid, size = int(process.pid), process.usedGpuMemory
            self._check(pid, size, card)
            if pid:  # of another namespace of process ids
                yield pid, None if size is None else int(size)

    def _check(self, pid: int, size: int | None, card: str) -> None:
        total = self.total_bytes(card)
        if pid >= _LARGEST_PID or (pid == 0 and size) or (size and total and size > total):
            raise DriverError(
                f"the driver's list of processes cannot be right (process {pid} with {size} bytes), as with the first"
                " drivers of the 535 series; a newer driver mends it",
                "scrambled",
            )

    def _by_index(self) -> Iterator[Any]:
        for index in range(self._library.ask("nvmlDeviceGetCount")):
            yield self._library.ask("nvmlDeviceGetHandleByIndex", index)

    def _card(self, index: int, handle: Any, pci_bus_id: str = "") -> DriverCard:
        return DriverCard(
            index=index,
            uuid=text(self._library.ask("nvmlDeviceGetUUID", handle)),
            pci_bus_id=pci_bus_id or self._pci_bus_id(handle),
            name=text(self._library.ask("nvmlDeviceGetName", handle)),
            total_bytes=self._total(handle),
            split=self._is_split(handle),
        )

    def _parts(self, card: DriverCard, handle: Any) -> Iterator[Any]:
        if not card.split:
            return
        for number in range(self._library.ask("nvmlDeviceGetMaxMigDeviceCount", handle)):
            try:
                yield self._library.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, number)
            except DriverError as error:
                if error.kind != "unknown":  # numbers may be left out
                    raise

    def _pci_bus_id(self, handle: Any) -> str:
        domain, _, rest = text(self._library.ask("nvmlDeviceGetPciInfo", handle).busId).lower().partition(":")
        return f"{domain[-4:]}:{rest}"  # NVML writes the domain with eight digits, CUDA with four

    def _total(self, handle: Any) -> int | None:
        try:
            return int(self._library.ask("nvmlDeviceGetMemoryInfo", handle).total) or None
        except DriverError as error:
            if error.kind in {"unsupported", "permission"}:  # shares the machine's memory; or MIG has split it
                return None
            raise

    def _is_split(self, handle: Any) -> bool:
        try:
            return bool(self._library.ask("nvmlDeviceGetMigMode", handle)[0])
        except DriverError as error:
            if error.kind in {"unsupported", "unknown", "module"}:  # older cards, and the parts themselves
                return False
            raise


def gpu_names() -> tuple[str, ...]:
    """Names of the GPUs that the driver lists, such as "NVIDIA H200"; none if there is no driver."""
    driver = Driver()
    try:
        return driver.names()
    except DriverError:
        return ()  # `tfmem doctor` says why
    finally:
        driver.close()


def names_and_version() -> tuple[tuple[str, ...], str | None]:
    """Names of the GPUs, and the version of the driver; none and None if there is no driver."""
    driver = Driver()
    try:
        return driver.names(), driver.version()
    except DriverError:
        return (), None
    finally:
        driver.close()
