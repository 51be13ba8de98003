"""A GPU that is not there: stand-in CUDA libraries on which TensorFlow's real CUDA build registers one or several.

What is real: TensorFlow, its allocators (BFC, growth, limits, cuda_malloc_async, cuda_malloc), their statistics, running out of
memory, XLA's compiler, the profiler, and NVML's Python bindings. What is not: device memory is the host's, work is done
at once, and kernels do nothing, so that no number that a device computes is right; fresh memory reads as zeros.

How a test uses it (fixtures of tests/gpu/conftest.py):

    @pytest.mark.stub                                          # needs the stand-in; left out where a real card is used
    def test_x(stub, run_tensorflow):                          # one card of 8 GiB
        stub.process_list = "zero"                             # may change at any time, also while processes run
        told = run_tensorflow("tf.zeros(1000); tell(tf.config.experimental.get_memory_info('GPU:0'))", env=stub.environment())
        assert stub.calls("nvmlInit_v2") == 1

    @pytest.mark.stub
    def test_y(new_stub):
        machine = new_stub(cards=[StubCard(), StubCard(total_bytes=4 * GIB)], driver_version="550.54.14", process_list="host")
        child = subprocess.Popen([...], env={**os.environ, **machine.environment()})
        machine.processes(1)[child.pid].held_bytes              # context + allocations + pool, on card 1
        machine.used_bytes(1)                                   # all processes, foreign ones too

    def test_z(gpu_environment, run_tensorflow):               # runs on a real card just as well
        run_tensorflow("...", env=gpu_environment)

A process is on the stand-in machine if it was *started* with `machine.environment()`, since the libraries are found by
LD_LIBRARY_PATH; so pytest as a whole (controller, xdist workers, children) is run in a subprocess. By pytester:
`for name, value in machine.environment().items(): monkeypatch.setenv(name, value)`, then `pytester.runpytest_subprocess()`.

Layout: machine.py is the description that tests hold, layout.py the file which it shares with the libraries (build.py makes a C header
of it), account.c reads and writes that file in each process, cuda_*.c and cudart.c are the CUDA side, nvml_*.c NVML.
Every function counts its calls, by name, in the account.
"""
