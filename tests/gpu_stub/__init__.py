"""A GPU that is not there: stand-in CUDA libraries on which TensorFlow's real CUDA build registers one or several.

What is real: TensorFlow, its allocators (BFC, growth, limits, cuda_malloc_async, cuda_malloc), their statistics,
running out of memory, XLA's compiler, the profiler, and NVML's Python bindings. What is not: device memory is the
host's (so what is copied there is in the process's resident set), work is done at once, and kernels do nothing, so
that no number that a device computes is right; fresh memory reads as zeros. kernels.c has the few that TensorFlow's
own decisions depend on.

How a test uses it (fixtures of tests/gpu/conftest.py):

    @pytest.mark.stub                            # needs the stand-in; left out where a real card is used
    def test_x(stub, run_tensorflow):            # one card of 8 GiB
        stub.process_list = "zero"               # may change at any time, also while processes run
        told = run_tensorflow("with tf.device('GPU:0'): tf.zeros(8)\ntell(1)", env=stub.environment())
        assert stub.calls("cuMemAlloc_v2") == 1  # by all processes together

    @pytest.mark.stub
    def test_y(new_stub):
        cards = [StubCard(), StubCard(total_bytes=4 * GIB, foreign=[Foreign(pid=4_000_000, bytes=GIB)])]
        machine = new_stub(cards=cards, driver_version="550.54.14", process_list="host")
        child = subprocess.Popen([...], env={**os.environ, **machine.environment()})
        machine.processes(1)[child.pid].held_bytes   # context, allocations and pool, on the second card
        machine.used_bytes(1)                        # of all processes, the foreign ones too

    def test_z(gpu_environment, run_tensorflow):     # runs on a real card just as well
        run_tensorflow("...", env=gpu_environment)

A process is on the stand-in machine if it was *started* with `machine.environment()`, since the libraries are found
by LD_LIBRARY_PATH; so pytest as a whole (controller, xdist workers, children) runs in a subprocess. With pytester:
`monkeypatch.setenv` for each of `machine.environment().items()`, then `pytester.runpytest_subprocess()`. From within
such a process, `StubMachine.opened(os.environ["TFMEM_STUB_MACHINE"])` is the machine.

What the driver charges to a process for a card: its context (`context_bytes`, once it has one), what cuMemAlloc gave,
each in multiples of 512 bytes and together in blocks of 2 MiB, and what pools have reserved, in blocks of 32 MiB,
which they give back when work is waited for and they hold more than their release threshold. A process that has
ended, however, or is a zombie, holds nothing.

How far TensorFlow 2.21 goes (tests/gpu/test_stub_tensorflow.py holds most of it): Keras networks train, dense,
convolutional (2D, 3D, depthwise, transposed, grouped, dilated; with cuDNN's frontend or without, autotuned or not),
recurrent (LSTM and GRU by cuDNN) and attention, in float32 and mixed_float16, with XLA or without, on one card or
mirrored on two; Fourier transforms, linear algebra, the profiler. cuDNN's workspaces are empty here. Where it stops:
what depends on computed values (tf.where, tf.unique, boolean masks) finds nothing, or one thing; and
`TF_GPU_ALLOCATOR=memory_guard` ends the process, by a check of TensorFlow's own ("IsAligned()": the guards move each
tensor by 16 bytes).

Layout: machine.py is the description that tests hold; layout.py the file that it shares with the libraries (build.py
makes a C header of it); account.c reads and writes that file in each process; cuda_*.c and cudart.c are CUDA,
nvml_*.c NVML, and each other library has what TensorFlow needs answered. Every function counts its calls there, by
name. The libraries are built once for each TensorFlow, into tests/gpu_stub/.built.
"""
