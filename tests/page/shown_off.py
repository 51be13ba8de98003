"""A run that shows all that a page can: forty tests, of which some are not fine, and sixty runs before it."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import msgspec

from pytest_tfmem.budgets.verdict import verdict_on
from pytest_tfmem.digest.build import digest_of
from pytest_tfmem.figures import Checkpoint, GpuTimeline, Limit, NotMeasured, Reading, Timeline, Waiver
from pytest_tfmem.history.baseline import Earlier
from pytest_tfmem.history.recorded import Footer, RecordedRun
from pytest_tfmem.history.rundocument import Run
from pytest_tfmem.history.series import history_of
from tests.made import ENVIRONMENT, START, made_test

MIB = 1 << 20
PAGE = 4096
CARDS = ("GPU-6f2c8d11-0000-4000-8000-00000000aaaa (GPU:0)", "GPU-91ab3377-0000-4000-8000-00000000bbbb (GPU:1)")
NAMES = [
    *(f"tests/test_train.py::TestTrain::test_step[{size}-{kind}]" for size in (64, 256) for kind in ("fp32", "mixed")),
    *(f"tests/test_train.py::test_{name}" for name in ("resume", "early_stopping", "gradient_clipping", "checkpoint")),
    *(
        f"tests/models/test_{model}.py::test_{what}"
        for model in ("resnet", "unet", "bert")
        for what in ("forward", "fit")
    ),
    *(f"tests/io/test_pipeline.py::test_{name}" for name in ("decode", "shuffle", "prefetch", "cache", "augment")),
    *(f"tests/serving/test_export.py::test_round_trip[model{number}]" for number in range(21)),
]


def shown_off(tests=40, runs=60, *, seed=7):
    """The digest of the run."""
    dice = random.Random(seed)
    names = [
        *NAMES,
        *(f"tests/many/test_{number // 20}.py::test_case[{number}]" for number in range(len(NAMES), tests)),
    ]
    usual = {
        name: dice.choice((180, 420, 640, 1180, 1650)) * MIB + dice.randrange(9000) * PAGE for name in names[:tests]
    }
    found = [_run(number, runs, usual, dice) for number in range(runs + 1)]
    before = Earlier(runs=runs, history=history_of(found[:-1])) if runs else Earlier()
    return digest_of(
        found[-1], before, directory=Path("/"), notices=["2 of 3 shards are joined here: shard 3 is missing"]
    )


def _run(number, last, usual, dice):
    began = START + dt.timedelta(days=number, hours=number % 5)
    run = Run(
        id=f"{number:032x}",
        started_at=began,
        commit=f"{0x5EED0000 + number:08x}" * 5,
        branch="main" if number < last else "wider-attention",
        duration_seconds=184.2,
        dirty=number == last,
        ci="github",
        ci_link="https://example.org/runs/1",
    )
    environment = msgspec.structs.replace(
        ENVIRONMENT,
        gpus=["NVIDIA H200", "NVIDIA H200"],
        gpu_driver="570.86.15",
        packages={"tensorflow": "2.21.0", "keras": "3.12.0", "numpy": "2.3.1"},
        libc="glibc 2.36",
        cores=32,
        cores_allowed=16,
        page_size_bytes=4096,
        transparent_huge_pages="madvise",
        settings={"TF_CPP_MIN_LOG_LEVEL": "2"},
        plugins=["pytest-cov 7.0.0", "pytest-xdist 3.8.0"],
    )
    tests = [
        _test(place, name, number=number, last=last, size=size, dice=dice)
        for place, (name, size) in enumerate(usual.items())
    ]
    return RecordedRun(
        run=run, environment=environment, tests=tests, footer=Footer(duration_seconds=184.2, tests=len(tests))
    )


def _test(place, name, *, number, last, size, dice):
    level = size
    if place in {1, 9, 14} and number > last * 0.4:
        level = int(level * 1.06)
    if place in {3, 11} and number > last * 0.7:
        level = int(level * 0.94)
    if place in {2, 10} and number == last:
        level = int(level * 1.09)
    anon = level + dice.randrange(-300, 300) * PAGE
    rss = anon + 190 * MIB + dice.randrange(0, 900) * PAGE
    gpu = [int(anon * 1.4) // 256 * 256, int(anon * 0.8) // 256 * 256]
    error = 8 * MIB
    readings = {
        "rss": Reading(bytes=rss, exactness="lower-bound", error_bytes=error, source="VmHWM"),
        "rss_growth": Reading(
            bytes=max(anon - 150 * MIB, 5 * MIB), exactness="lower-bound", error_bytes=error, source="VmHWM"
        ),
        "rss_anon": Reading(bytes=anon, exactness="lower-bound", error_bytes=error, source="VmHWM less file pages"),
        "rss_tree": Reading(bytes=rss + 3 * MIB, exactness="sampled", source="sampled every 20 ms"),
        "gpu": [
            Reading(bytes=used, exactness="exact", source="cuda_malloc_async", device=card)
            for used, card in zip(gpu, CARDS, strict=True)
        ],
        "gpu_footprint": NotMeasured("the driver lists no process of this container"),
    }
    if place % 3 == 2:
        del readings["gpu"], readings["gpu_footprint"]
    limits = _limits(place, size, readings)
    verdicts = {figure: _verdict(limit, readings.get(figure)) for figure, limit in limits.items()}
    made = made_test(name)
    return msgspec.structs.replace(
        made,
        start_method="forkserver" if place % 4 else "spawn",
        why_spawned="" if place % 4 else "the test file makes tensors when it is imported",
        outcome=_outcome(place, verdicts, number == last),
        breached="over" in verdicts.values(),
        readings=readings,
        limits=limits,
        verdicts=verdicts,
        allocator="cuda_malloc_async" if "gpu" in readings else "",
        runtime={"precision": "mixed_float16"} if "mixed" in name else {},
        where=f"{name.split('::')[0]}:{12 + 9 * place}",
        phases={
            "setup": {
                "seconds": 0.4 + place / 100,
                "rss_bytes": rss // 2,
                "rss_growth_bytes": 12 * MIB,
                "rss_anon_bytes": anon // 3,
            },
            "call": {
                "seconds": 2.1 + place / 7,
                "rss_bytes": rss,
                "rss_growth_bytes": rss // 3,
                "rss_anon_bytes": anon,
            },
            "teardown": {"seconds": 0.05, "rss_bytes": rss // 3, "rss_growth_bytes": 0, "rss_anon_bytes": anon // 4},
        },
        timeline=_timeline(rss, gpu if "gpu" in readings else [], dice) if number == last else None,
        died="was killed by signal 9 (SIGKILL), as the kernel's out-of-memory killer does"
        if place == 7 and number == last
        else "",
        out_of_memory=OUT_OF_MEMORY if place == 12 and number == last else "",
        notes=["its budget's pattern tests/** covers 40 tests"] if place == 4 else [],
    )


OUT_OF_MEMORY = """cuda_malloc_async on GPU:0 refused 2.25 GiB: 1.50 GiB of its limit of 3.00 GiB were in use.
The largest that were held:
  1.00 GiB  conv2d_3/kernel
  256.0 MiB conv2d_2/kernel"""


def _limits(place, size, readings):
    found = {"rss_anon": Limit(bytes=int(size * 1.12) // MIB * MIB, where=f"budgets.yaml:{8 + 3 * place}")}
    if place == 0:
        found["rss_anon"] = Limit(bytes=int(size * 0.92) // MIB * MIB, where="budgets.yaml:8")
    if place == 4:
        found["rss_anon"] = Limit(bytes=int(size * 0.96), where="budgets.yaml:20", level="warn")
    if place == 5:
        waiver = Waiver(
            bytes=int(size * 1.1),
            expires="2027-01-31",
            days_left=41,
            reason="float32 fallback until the kernel lands",
            where="budgets.yaml:90",
            issue="#123",
        )
        found["rss_anon"] = Limit(bytes=int(size * 0.95), where="budgets.yaml:23", waiver=waiver)
    if place in {6, 13, 22}:
        found["rss_anon"] = Limit(bytes=int(size * 1.03), where=f"budgets.yaml:{8 + 3 * place}")
    if "gpu" in readings:
        found["gpu"] = Limit(bytes=int(size * 1.75) // MIB * MIB, where=f"budgets.yaml:{9 + 3 * place}")
    if place % 9 == 0 and "gpu_footprint" in readings:
        found["gpu_footprint"] = Limit(bytes=6 << 30, where="budgets.yaml:4")
    return found


def _verdict(limit, reading):
    if isinstance(reading, list):
        return max((verdict_on(limit, one) for one in reading), key=["ok", "near", "waived", "over"].index)
    return "not-measured" if isinstance(reading, NotMeasured) else verdict_on(limit, reading)


def _outcome(place, verdicts, now):
    if place == 7 and now:
        return "failed"
    if place == 0:
        return "failed"
    return "skipped" if place == 33 else "passed"


def _timeline(rss, gpu, dice):
    seconds = [at * 0.031 for at in range(160)]
    shape = [min(1.0, 0.35 + at / 140 + (0.18 if at % 23 < 6 else 0)) for at in range(150)] + [
        0.55,
        0.5,
        0.45,
        0.4,
        0.35,
        0.3,
        0.3,
        0.3,
        0.3,
        0.3,
    ]
    host = [int(rss * one) - dice.randrange(900) * PAGE for one in shape]
    return Timeline(
        seconds=seconds,
        rss_tree_bytes=host,
        gpus=[
            GpuTimeline(
                device=card,
                source="cuda_malloc_async",
                bytes=[None] * 20 + [int(most * min(1.0, (one - 0.3) * 1.5)) for one in shape[20:]],
            )
            for card, most in zip(CARDS, gpu, strict=False)
        ],
        checkpoints=[
            Checkpoint(name="setup", seconds=0.0),
            Checkpoint(name="call", seconds=0.45),
            Checkpoint(name="first epoch", seconds=1.6),
            Checkpoint(name="second epoch", seconds=2.9),
            Checkpoint(name="teardown", seconds=4.64),
        ],
    )
