"""A test whose process dies: its sections and checkpoints that were over by then are known, what was open is named."""

from __future__ import annotations

MIB = 1 << 20

DYING = r"""
    import threading

    MIB = 1 << 20


    def complete(tfmem):
        with tfmem.section("load") as load:
            with tfmem.section("decode"):
                bytearray(32 * MIB)
        tfmem.checkpoint("loaded")
        return load


    @pytest.fixture
    def around(tfmem):
        with tfmem.section("fixture"):
            data = bytearray(48 * MIB)
            yield
            del data


    def test_killed(tfmem):
        again = complete(tfmem)
        with tfmem.section("train"):
            pass
        with tfmem.section("train"):
            os.kill(os.getpid(), 9)


    def test_aborted(tfmem):
        complete(tfmem)
        os.abort()


    @budget(timeout=1)
    def test_too_late(tfmem):
        complete(tfmem)
        with tfmem.section("a <b>\x1b[31m"):
            threading.Event().wait()


    def test_in_a_fixtures_section(tfmem, around):
        with tfmem.section("inner"):
            os.kill(os.getpid(), 9)


    def test_in_two_threads(tfmem):
        def work():
            with tfmem.section("thread"):
                entered.set()
                threading.Event().wait()

        entered = threading.Event()
        threading.Thread(target=work, daemon=True).start()
        entered.wait()
        with tfmem.section("main"):
            os.kill(os.getpid(), 9)


    @budget(warmup=1)
    def test_after_a_warm_up(tfmem):
        with tfmem.section("load"):
            pass
        if os.path.exists("warmed up"):
            os.kill(os.getpid(), 9)
        open("warmed up", "w").close()


    def test_in_a_fork(tfmem):
        with tfmem.section("forks"):
            if os.fork() == 0:
                with tfmem.section("of the fork"):
                    os._exit(0)
            os.wait()
            os.kill(os.getpid(), 9)


    def test_of_many(tfmem):
        for at in range(220):
            with tfmem.section(f"step {at}"):
                pass
        with tfmem.section("last"):
            os.kill(os.getpid(), 9)


    def test_that_lives(tfmem):
        complete(tfmem)
"""
COMPLETE = [("load", "decode"), ("load",)]


def entered(measured):
    return {(*one["path"], one["name"]): one["entered"] for one in measured["sections"]}


def test_what_was_over_before_a_process_died_is_kept_and_what_was_open_is_named_without_a_figure(project):
    project.write("test_dying.py", DYING)
    ran = project.run("-v", "--tfmem-json=run.json")
    times = {test: entered(measured) for test, measured in ran.measured.items()}
    many = times.pop("test_of_many")
    assert times == {
        "test_killed": {**dict.fromkeys(COMPLETE, 1), ("train",): 1},
        "test_aborted": dict.fromkeys(COMPLETE, 1),
        "test_too_late": {**dict.fromkeys(COMPLETE, 1), ("a <b>\x1b[31m",): 0},
        "test_in_a_fixtures_section": {("fixture",): 0, ("fixture", "inner"): 0},
        "test_in_two_threads": {("thread",): 0, ("main",): 0},
        "test_after_a_warm_up": {("load",): 1},
        "test_in_a_fork": {("forks",): 0},
        "test_that_lives": dict.fromkeys(COMPLETE, 1),
    }
    assert (len(many), many["step 199",], many["last",]) == (201, 1, 0)
    for measured in ran.measured.values():
        for one in measured["sections"]:
            assert one["open_at_death"] is (one["entered"] == 0 or one["name"] == "train")
            assert bool(one["readings"]) is (one["entered"] == 1)
    for test in ("test_killed", "test_aborted", "test_too_late", "test_that_lives"):
        decode, load = ran.measured[test]["sections"][:2]
        assert 31 * MIB < decode["readings"]["rss_growth"]["bytes"] < 33 * MIB
        assert decode["readings"]["rss"] == load["readings"]["rss"]
        for figure in ("rss", "rss_anon") if ran.measured[test]["died"] else ():
            assert ran.measured[test]["readings"][figure]["bytes"] >= decode["readings"][figure]["bytes"]
        assert "loaded" in [one["name"] for one in ran.measured[test]["timeline"]["checkpoints"]]
    for where in (
        "died of SIGKILL in call, in its section train: someone killed it",
        "died of SIGABRT in call: native code",
        r"timeout: the test was still in call, in its section a <b>\x1b[31m, after 1 s, and was ended",
        "died of SIGKILL in call, in its section fixture > inner: someone",
        "died of SIGKILL in call, in its sections thread and main: someone",
    ):
        assert where in ran.text
    lines = [line.strip() for line in ran.text.splitlines()]
    assert "fixture > inner: not measured: open when the process died" in lines
    (train,) = [line for line in lines if line.startswith("train: ")]
    assert train.endswith(", open once more when the process died")
