"""File pages that are resident in a process: found in the one that forks, brought into the one that was forked.

A fork copies the page tables of anonymous memory but not those of files: its child starts without the pages of
libraries that its parent has in use, and would read less than a new interpreter. A page of a file is the same page in
every process, so to bring it in costs a page-table entry and no memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections import deque
from typing import TYPE_CHECKING

from pytest_tfmem.measure.host import HAS_PROC, linux_version

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADV_POPULATE_READ = 22  # madvise(2)
_POPULATES_SINCE = (5, 14)
_ENTRY_BYTES = 8  # of /proc/PID/pagemap, for each page: Documentation/admin-guide/mm/pagemap.rst
_MOST_BYTES_AT_ONCE = 1 << 16  # a large buffer, once freed, would be room in which the test's own memory hides
_LARGE_BYTES = 1 << 19  # resident, of a mapping that is worth a page of anonymous memory
# By an entry's highest byte: bit 63 says that the page is present, bit 61 that it is a file's or shared.
_PRESENT_OF_FILE = re.compile(rb"[\xa0-\xbf\xe0-\xff]+")

Ranges = list[tuple[int, int]]


def why_not_populated() -> str:
    """Why this system cannot bring resident file pages into a fork; empty if it can."""
    if not HAS_PROC:
        return "only Linux can tell which pages are resident, and bring them into a fork"
    if linux_version() < _POPULATES_SINCE:
        shown = ".".join(map(str, linux_version()))
        return f"Linux {shown} cannot bring resident pages into a fork (MADV_POPULATE_READ, since 5.14)"
    try:
        if not any(_stretches()):
            return "/proc/self/pagemap says of no page whether it is resident"
    except OSError as error:
        return f"/proc/self/pagemap cannot be read: {error.strerror}"
    return ""


def file_ranges() -> Ranges:
    """Address and length in bytes of every stretch of file pages that is resident in this process (Linux).

    By /proc/self/maps, which mappings are of files, and /proc/self/pagemap, which of their pages are present. Raises
    OSError where they cannot be read.
    """
    return list(_stretches())


def carry_over(ranges: Ranges) -> Ranges:
    """Have a fork of this process find its largest mappings of files as they are here; the rest of `ranges`.

    The kernel copies the page table of a private mapping of a file if one of its pages is the process's own, which a
    page becomes when it is written to (vma_needs_copy in Linux's mm/memory.c): so one byte of each such mapping is
    written as it is. Each costs a page, 4 KiB, of anonymous in place of file memory, and spares the fork most of what
    it takes to bring the pages in.
    """
    parts = _by_mapping(ranges)
    left: Ranges = []
    for is_private, inside in parts:
        is_large = sum(length for _, length in inside) >= _LARGE_BYTES
        if is_private and is_large and _write_as_it_is(inside[0][0]):
            # If the page was part of a huge one, the kernel has taken all of that out of this process.
            populate(inside)
        else:
            left += inside
    return left


def _stretches() -> Iterator[tuple[int, int]]:
    page = os.sysconf("SC_PAGE_SIZE")
    descriptor = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        for begin, end, _ in _mapped_files():
            for first, last in _resident(descriptor, begin // page, end // page):
                yield begin + first * page, (last - first) * page
    finally:
        os.close(descriptor)


def _by_mapping(ranges: Ranges) -> Iterator[tuple[bool, Ranges]]:
    """The ranges of each mapping, and whether it is private."""
    ahead = deque(ranges)
    for begin, end, is_private in _mapped_files():
        inside = []
        while ahead and begin <= ahead[0][0] < end:
            inside.append(ahead.popleft())
        if inside:
            yield is_private, inside


def _write_as_it_is(address: int) -> bool:
    """Write a byte of this process's memory over itself; False where the system does not let us."""
    try:
        descriptor = os.open("/proc/self/mem", os.O_RDWR)
    except OSError:
        return False
    try:
        os.pwrite(descriptor, os.pread(descriptor, 1, address), address)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def populate(ranges: Ranges) -> None:
    """Bring these pages into this process, which has or had them, or was forked off one that has them (Linux 5.14).

    A stretch that is not mapped here any more is passed over.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for address, length in ranges:
        advise(address, length, _MADV_POPULATE_READ)


def trim_heap() -> None:
    """Give the C library's free heap back to the system, where it can (glibc)."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _mapped_files() -> Iterator[tuple[int, int, bool]]:
    """First address, the one after the last, and whether it is private, of every mapping of a file that can be read."""
    with open("/proc/self/maps", "rb", buffering=1 << 14) as file:
        for line in file:
            addresses, permissions, _, _, inode = line.split(None, 5)[:5]
            if inode != b"0" and permissions.startswith(b"r"):
                begin, _, end = addresses.partition(b"-")
                yield int(begin, 16), int(end, 16), permissions.endswith(b"p")


def _resident(pagemap: int, first: int, end: int) -> Iterator[tuple[int, int]]:
    """First page, and the one after the last, of every resident stretch between two pages."""
    step = _MOST_BYTES_AT_ONCE // _ENTRY_BYTES
    for page in range(first, end, step):
        count = min(step, end - page)
        entries = os.pread(pagemap, count * _ENTRY_BYTES, page * _ENTRY_BYTES)
        for match in _PRESENT_OF_FILE.finditer(entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]):
            yield page - first + match.start(), page - first + match.end()
