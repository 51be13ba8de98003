"""Which file pages are resident, and that a fork has them as the process that it was forked off."""

from __future__ import annotations

import os
import platform
import sys

import pytest

from pytest_tfmem.measure import resident
from pytest_tfmem.measure.resident import why_not_populated

MIB = 1 << 20
PAGE = 4096 if sys.platform == "win32" else os.sysconf("SC_PAGE_SIZE")
NOISE = 256 << 10  # what a fork itself may bring in: the code that it runs
# The kernel brings in up to 16 pages around one that is touched.
FAR = 64 * PAGE

can_populate = pytest.mark.skipif(why_not_populated() != "", reason=why_not_populated() or "it can")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")

TOOLS = """
import re
from pathlib import Path
from pytest_tfmem.measure.resident import carry_over, file_ranges, populate, trim_heap

def mapped(path, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, at_once=FAR):
    '''A file of `size` bytes, mapped whole, with nothing of it resident here.

    What is written `at_once`, the kernel may hold as one page, and then brings in as one.
    '''
    with open(path, "wb", buffering=0) as file:
        for _ in range(0, size, at_once):
            file.write(bytes(at_once))
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0, flags=flags, prot=prot)

def touch(mapping, step):
    for page in range(0, len(mapping), step):
        mapping[page]

def figures(path):
    '''Bytes of the mapping of `path` that are resident, and of them anonymous, as the kernel walks its pages.'''
    text = Path("/proc/self/smaps").read_text()
    entry = next(part for part in re.split(r"(?m)^(?=[0-9a-f]+-)", text) if part.partition("\\n")[0].endswith(path))
    return [int(re.search(rf"(?m)^{name}: +(\\d+) kB", entry)[1]) << 10 for name in ("Rss", "Anonymous")]

def first_address(path):
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(int(line.partition("-")[0], 16) for line in lines if line.endswith(path))

def within(path, mapping, ranges):
    '''Those of the ranges that lie in the mapping, counted from its beginning.'''
    first = first_address(path)
    return [(at - first, length) for at, length in ranges if first <= at < first + len(mapping)]

def of_files():
    text = Path("/proc/self/smaps_rollup").read_text()
    rss, anonymous = (int(re.search(rf"(?m)^{name}: +(\\d+) kB", text)[1]) << 10 for name in ("Rss", "Anonymous"))
    return rss - anonymous

def in_fork(function):
    '''What the function returns in a fork of this process.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps(function()).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        told = file.read()
    os.waitpid(pid, 0)
    return json.loads(told)

def populated(ranges, function):
    '''The function, called after the ranges have been populated.'''
    def populate_first():
        populate(ranges)
        return function()
    return populate_first
"""


@pytest.fixture
def told(child, tmp_path):
    """What code tells in a new interpreter; it has `path`, of a file that is not there yet, and `FAR`."""
    path = os.fspath(tmp_path / "weights")
    return lambda code: child(f"path = {path!r}; FAR = {FAR}; PAGE = {PAGE}\n{TOOLS}\n{code}").told()


@can_populate
@pytest.mark.parametrize("flags", ["MAP_PRIVATE", "MAP_SHARED"])
def test_a_fork_has_none_of_its_parents_file_pages_until_it_populates(told, flags):
    parent, fork, populated = told(f"""
held = mapped(path, 4 * MIB, mmap.{flags})
touch(held, 2 * FAR)
ranges = file_ranges()
tell([figures(path)[0], in_fork(lambda: figures(path)[0]), in_fork(populated(ranges, lambda: figures(path)[0]))])
""")
    assert 0 < parent < 4 * MIB
    assert (fork, populated) == (0, parent)


@can_populate
def test_a_fork_that_populates_has_as_many_file_pages_in_all_as_its_parent(told):
    parent, fork, populated = told("""
held = mapped(path, 4 * MIB)
touch(held, PAGE)
of_files(), in_fork(populated([], of_files))  # what is run for the first time is brought in now
ranges = file_ranges()
tell([of_files(), in_fork(of_files), in_fork(populated(ranges, of_files))])
""")
    assert abs(populated - parent) <= NOISE
    assert fork < parent - 4 * MIB


@can_populate
def test_only_what_is_resident_is_brought_in(told):
    parent, fork = told("""
held = mapped(path, 4 * MIB)
touch(held, 2 * FAR)
ranges = file_ranges()
here = within(path, held, ranges)
tell([here, in_fork(populated(ranges, lambda: within(path, held, file_ranges())))])
""")
    assert len(parent) == 4 * MIB // (2 * FAR)
    assert fork == parent


@can_populate
def test_the_ranges_of_a_large_mapping_are_as_the_kernel_counts_them(told):
    ranges, rss = told("""
held = mapped(path, 40 * MIB)
touch(held, PAGE)
tell([within(path, held, file_ranges()), figures(path)[0]])
""")
    assert sum(length for _, length in ranges) == rss == 40 * MIB
    assert [at for at, _ in ranges[1:]] == [at + length for at, length in ranges[:-1]]


@can_populate
def test_a_page_that_is_the_processs_own_is_no_page_of_a_file(told):
    ranges = told("""
held = mapped(path, MIB, prot=mmap.PROT_READ | mmap.PROT_WRITE)
touch(held, PAGE)
held[8 * PAGE] = 1
tell(within(path, held, file_ranges()))
""")
    assert ranges == [[0, 8 * PAGE], [9 * PAGE, MIB - 9 * PAGE]]


@can_populate
def test_what_is_carried_over_is_in_a_fork_that_populates_the_rest_alone(told):
    parent, fork, rest, populated = told("""
large, small = mapped(path, 4 * MIB), mapped(path + "-small", 256 << 10)
touch(large, 2 * FAR)
touch(small, PAGE)
both = lambda: [figures(path)[0], figures(path + "-small")[0]]
before = both()
rest = carry_over(file_ranges())
tell([
    before,
    in_fork(both),
    [within(path, large, rest), sum(length for _, length in within(path + "-small", small, rest))],
    in_fork(populated(rest, both)),
])
""")
    assert fork == [parent[0], 0]
    assert rest == [[], parent[1]]
    assert populated == parent


@can_populate
@pytest.mark.parametrize("at_once", [FAR, 4 * MIB], ids=["in small pages", "in huge ones, where there are any"])
def test_carrying_over_and_populating_gives_as_many_file_pages_as_populating_all(told, at_once):
    all_populated, rest_populated, pages = told(f"""
held = mapped(path, 4 * MIB, at_once={at_once})
touch(held, PAGE)
of_files(), in_fork(populated([], of_files))
everything = in_fork(populated(file_ranges(), of_files))
before = file_ranges()
rest = carry_over(before)
mappings = len(before) - len(rest)
tell([everything, in_fork(populated(rest, of_files)), mappings])
""")
    assert pages > 0
    assert abs(rest_populated - all_populated) <= NOISE


@can_populate
@pytest.mark.parametrize("at_once", [FAR, 4 * MIB], ids=["in small pages", "in huge ones, where there are any"])
def test_to_carry_over_costs_one_page_of_each_large_private_mapping(told, at_once):
    before, after = told(f"""
large, small, shared = (
    mapped(path, 4 * MIB, at_once={at_once}),
    mapped(path + "-small", 256 << 10),
    mapped(path + "-shared", 4 * MIB, mmap.MAP_SHARED),
)
paths = [path, path + "-small", path + "-shared"]
for held in (large, small, shared):
    touch(held, PAGE)
before = [figures(one) for one in paths]
carry_over(file_ranges())
tell([before, [figures(one) for one in paths]])
""")
    assert before == [[4 * MIB, 0], [256 << 10, 0], [4 * MIB, 0]]
    assert after == [[4 * MIB, PAGE], [256 << 10, 0], [4 * MIB, 0]]


@can_populate
def test_what_is_carried_over_is_what_it_was(told):
    here, on_disk = told("""
held = mapped(path, MIB, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
held[:] = bytes(range(256)) * (MIB // 256)
with open(path, "rb") as file:
    private = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
touch(private, PAGE)
carry_over(file_ranges())
right = bytes(range(256)) * (MIB // 256)
tell([private[:] == right, Path(path).read_bytes() == right])
""")
    assert (here, on_disk) == (True, True)


@can_populate
def test_a_stretch_that_is_not_mapped_any_more_is_passed_over(told):
    first, last = told("""
gone, kept = mapped(path + "-gone", MIB), mapped(path, MIB)
touch(gone, PAGE)
touch(kept, PAGE)
gone_at, kept_at = first_address(path + "-gone"), first_address(path)
gone_one, kept_one = (gone_at, MIB), (kept_at, MIB)

def without_one(ranges):
    def populate_the_rest():
        gone.close()
        populate(ranges)
        return figures(path)[0]
    return populate_the_rest

tell([in_fork(without_one([gone_one, kept_one])), in_fork(without_one([kept_one, gone_one]))])
""")
    assert (first, last) == (MIB, MIB)


@can_populate
def test_a_heap_that_is_free_is_given_back(told):
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library's heap")
    held, freed, trimmed = told("""
import ctypes
from pytest_tfmem.measure.host import read_marks
C = ctypes.CDLL(None)
C.malloc.restype, C.malloc.argtypes, C.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

def resident():
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"(?m)^Anonymous: +(\\d+) kB", text)[1]) << 10

resident()
blocks = [C.malloc(64 << 10) for _ in range(256)]  # each too small for a mapping of its own
for block in blocks:
    ctypes.memset(block, 1, 64 << 10)
held = resident()
for block in blocks[:-1]:  # the last keeps the heap from shrinking by itself
    C.free(block)
freed = resident()
trim_heap()
tell([held, freed, resident()])
""")
    assert held - freed < MIB
    assert held - trimmed > 15 * MIB


@can_populate
def test_a_linux_of_today_can_populate_forks():
    assert why_not_populated() == ""


@linux
def test_a_linux_that_cannot_bring_pages_in_is_told_by_its_version(monkeypatch):
    monkeypatch.setattr(resident, "linux_version", lambda: (5, 13))
    assert why_not_populated() == (
        "Linux 5.13 cannot bring resident pages into a fork (MADV_POPULATE_READ, since 5.14)"
    )


def test_a_system_that_is_not_linux_cannot_populate_forks(monkeypatch):
    monkeypatch.setattr(resident, "HAS_PROC", False)
    assert why_not_populated() == "only Linux can tell which pages are resident, and bring them into a fork"


@can_populate
def test_a_system_that_hides_pages_is_told_with_its_reason(monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(resident, "_resident", refused)
    assert why_not_populated() == "/proc/self/pagemap cannot be read: Operation not permitted"


@can_populate
def test_a_system_that_shows_no_page_as_resident_is_not_believed(monkeypatch):
    monkeypatch.setattr(resident, "_resident", lambda *_: [])
    assert why_not_populated() == "/proc/self/pagemap says of no page whether it is resident"
