"""The account that the stand-in libraries and Python share, written down once: build.py makes layout.h of it.

Numbers are read and written one aligned word at a time, so that Python may set a field while processes run. Tables are
changed by the C side only, under the account's lock.
"""

from __future__ import annotations

import ctypes

MAGIC = 0x7F3E_0001
MAX_CARDS = 16
MAX_FOREIGN = 8
MAX_PROCESSES = 256
MAX_ENDED = 128  # NV_MAX_DEAD_ACCT_PROCESS of the real driver
MAX_FUNCTIONS = 8192
ENDLESS = (1 << 64) - 1

# What the driver's process list says, as NVML tells it. See machine.py for what each one stands for.
PROCESS_LISTS = ("namespace", "host", "zero", "unavailable", "no permission", "scrambled")

_U32, _I32, _U64, _CHAR = ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64, ctypes.c_char


class Foreign(ctypes.Structure):
    """A process that is none of ours and holds memory on a card, as on a card that others use too."""

    _fields_ = [("bytes", _U64), ("pid", _U32), ("is_graphics", _U32), ("name", _CHAR * 64)]


class Card(ctypes.Structure):
    """A card, or a MIG device: one whose `parent` is the place of its card in the table, which is -1 for a card."""

    _fields_ = [
        ("total_bytes", _U64),
        ("reserved_bytes", _U64),
        ("context_bytes", _U64),
        ("compute_major", _U32),
        ("compute_minor", _U32),
        ("has_pools", _U32),
        ("has_memory_info", _U32),
        ("lost", _U32),
        ("mig_enabled", _U32),
        ("parent", _I32),
        ("instance", _U32),
        ("uuid", _CHAR * 64),
        ("name", _CHAR * 64),
        ("pci_bus_id", _CHAR * 32),
        ("foreign", Foreign * MAX_FOREIGN),
    ]


class Usage(ctypes.Structure):
    """What one process has of one card, in bytes.

    `requested`: sum of the sizes asked for and not freed, as they were asked for. `allocated`: those of cuMemAlloc,
    each in multiples of 512. `pool_used`: those of pools, likewise. `pool_reserved`: what pools took from the driver.
    `peak`: most that the driver charged to the process since it began.
    """

    _fields_ = [
        ("context", _U64),
        ("requested", _U64),
        ("allocated", _U64),
        ("pool_used", _U64),
        ("pool_reserved", _U64),
        ("peak", _U64),
        ("allocations", _U64),
    ]


class Process(ctypes.Structure):
    """A process with a context: free while `pid` is 0. `start_time` tells it from a later one of that number."""

    _fields_ = [("start_time", _U64), ("pid", _U32), ("_", _U32), ("usage", Usage * MAX_CARDS)]


class Ended(ctypes.Structure):
    """A process that has ended, as the driver's accounting remembers it."""

    _fields_ = [("peak", _U64), ("pid", _U32), ("card", _U32)]


class Function(ctypes.Structure):
    """How often a function of the libraries was called, by all processes together."""

    _fields_ = [("calls", _U64), ("name", _CHAR * 72)]


class Machine(ctypes.Structure):
    """The whole file."""

    _fields_ = [
        ("magic", _U32),
        ("size", _U32),
        ("lock", _U64 * 8),  # a pthread_mutex_t, robust and shared by processes
        ("cuda_driver_version", _U32),
        ("cuda_init_error", _U32),
        ("failing_allocation", _U64),
        ("nvml_init_error", _U32),
        ("nvml_lost", _U32),
        ("nvml_calls_left", _U64),
        ("process_list", _U32),
        ("host_pid_offset", _U32),
        ("accounting", _U32),
        ("accounting_is_blind", _U32),
        ("card_count", _U32),
        ("ended_count", _U32),
        ("driver_version", _CHAR * 80),
        ("cards", Card * MAX_CARDS),
        ("processes", Process * MAX_PROCESSES),
        ("ended", Ended * MAX_ENDED),
        ("functions", Function * MAX_FUNCTIONS),
    ]


_NAMES_IN_C = {_U32: "uint32_t", _I32: "int32_t", _U64: "uint64_t", _CHAR: "char"}
_CONSTANTS = ("MAGIC", "MAX_CARDS", "MAX_FOREIGN", "MAX_PROCESSES", "MAX_ENDED", "MAX_FUNCTIONS")


def header() -> str:
    """The same structs in C."""
    lines = ["#pragma once", "#include <stdint.h>", f"#define ENDLESS {ENDLESS}ULL"]
    lines += [f"#define {name} {globals()[name]}" for name in _CONSTANTS]
    for number, name in enumerate(PROCESS_LISTS):
        lines.append(f"#define PROCESS_LIST_{name.upper().replace(' ', '_')} {number}")
    for struct in (Foreign, Card, Usage, Process, Ended, Function, Machine):
        lines += [f"struct {struct.__name__.lower()} {{", *(_field(*field) for field in struct._fields_), "};"]
        lines.append(
            f'_Static_assert(sizeof(struct {struct.__name__.lower()}) == {ctypes.sizeof(struct)}, "as Python");'
        )
    return "\n".join(lines) + "\n"


def _field(name: str, kind: type) -> str:
    length = f"[{kind._length_}]" if issubclass(kind, ctypes.Array) else ""
    element = kind._type_ if issubclass(kind, ctypes.Array) else kind
    return f"    {_NAMES_IN_C.get(element) or 'struct ' + element.__name__.lower()} {name}{length};"
