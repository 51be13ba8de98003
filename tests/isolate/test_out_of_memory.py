"""A device allocator's refusal is told in one sentence, and nothing else is taken for one."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_tfmem.isolate.out_of_memory import describe
from pytest_tfmem.measure.devices import AllocatorMarks, Card, DeviceMarks

MIB = 1 << 20
GIB = 1 << 30


def error_class(qualified: str, base: type[Exception] = Exception) -> type[Exception]:
    """A class by the name and module of a framework's own, which need not be installed."""
    module, _, name = qualified.rpartition(".")
    return type(name, (base,), {"__module__": module})


ResourceExhausted = error_class("tensorflow.python.framework.errors_impl.ResourceExhaustedError")
Internal = error_class("tensorflow.python.framework.errors_impl.InternalError")
TorchOutOfMemory = error_class("torch.OutOfMemoryError", RuntimeError)
JaxRuntime = error_class("jax.errors.JaxRuntimeError", RuntimeError)
XlaRuntime = error_class("jaxlib.xla_extension.XlaRuntimeError", RuntimeError)


def card(total_bytes=8 * GIB, uuid="GPU-1"):
    return Card(
        ordinal=0,
        uuid=uuid,
        pci_bus_id="0000:01:00.0",
        name="NVIDIA Test GPU",
        total_bytes=total_bytes,
        compute_capability=(8, 0),
        has_pools=True,
    )


def marks(framework="tensorflow", device="GPU:0", in_use=GIB, peak=GIB, **others):
    return AllocatorMarks(
        framework=framework, device=device, card="GPU-1", allocator="growth", in_use=in_use, peak=peak, **others
    )


CPU = AllocatorMarks(framework="tensorflow", device="CPU:0", card="", allocator="cpu", why_not="no statistics")
ONE_GPU = DeviceMarks(cards=[card()], allocators=[marks(), CPU])
NO_GPU = DeviceMarks(allocators=[CPU])

# What TensorFlow 2.21 wrote where its real allocators were full.
EAGER = (
    "{{function_node __wrapped__Fill_device_/job:localhost/replica:0/task:0/device:GPU:0}} OOM when allocating tensor"
    " with shape[32768,65536] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator %s"
    " [Op:Fill] name: "
)
COMPILED_KERNEL = (
    "{{function_node __wrapped__Mul_device_/job:localhost/replica:0/task:0/device:GPU:0}}"
    " failed to allocate memory [Op:Mul] name: "
)
FUSED_KERNEL = (
    "{{function_node __inference_f_10}} failed to allocate memory\n\t [[{{node ArithmeticOptimizer/Leaf_1_add_1}}]]\n"
    "Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom to"
    " RunOptions for current allocation info. This isn't available when running in Eager mode.\n [Op:__inference_f_10]"
)
COPY = (
    "Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to"
    " /job:localhost/replica:0/task:0/device:GPU:0 in order to run _EagerConst: Dst tensor is not initialized."
)
GRAPH = (
    "Graph execution error:\n\nDetected at node sequential_1/dense_1/MatMul defined at (most recent call last):\n"
    '  File "test_fit.py", line 49, in <module>\n\n  File "trainer.py", line 399, in fit\n\n'
    "OOM when allocating tensor with shape[1024,65536] and type float on"
    " /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc\n"
    "\t [[{{node sequential_1/dense_1/MatMul}}]]\nHint: If you want to see a list of allocated tensors when OOM"
    " happens, add report_tensor_allocations_upon_oom to RunOptions for current allocation info."
)
JIT = "Out of memory while trying to allocate 2.27GiB. [Op:__inference_g_16]"
JIT_IN_FIT = (
    "Graph execution error:\n\nDetected at node StatefulPartitionedCall defined at (most recent call last):\n"
    '  File "trainer.py", line 125, in wrapper\n\nOut of memory while trying to allocate 1.02GiB.\n'
    "\t [[{{node StatefulPartitionedCall}}]]"
)
TORCH = (
    "CUDA out of memory. Tried to allocate 22.78 GiB. GPU 0 has a total capacity of 31.47 GiB of which 12.73 GiB is"
    " free. Including non-PyTorch memory, this process has 18.73 GiB memory in use. Of the allocated memory 9.08 GiB is"
    " allocated by PyTorch, and 9.35 GiB is reserved by PyTorch but unallocated."
)
TORCH_FRACTION = (
    "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 1 has a total capacty of 12.00 GiB of which 9.02 GiB is"
    " free. 1.20 GiB allowed; Of the allocated memory 984.52 MiB is allocated by PyTorch, and 463.48 MiB is reserved by"
    " PyTorch but unallocated."
)


@pytest.mark.parametrize("allocator", ["GPU_0_bfc", "gpu_async_0", "gpu_debug"])
def test_tensorflows_allocators_are_told_with_what_was_asked_what_was_in_use_and_the_card(allocator):
    assert describe(ResourceExhausted(EAGER % allocator), ONE_GPU) == (
        "out of memory on GPU:0: 8.00 GiB were asked for (float32 [32768,65536]),"
        " 1.00 GiB were in use of the card's 8.00 GiB"
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ResourceExhausted(GRAPH), "256.0 MiB were asked for (float32 [1024,65536]), "),
        (ResourceExhausted(COMPILED_KERNEL), ""),
        (ResourceExhausted(FUSED_KERNEL), ""),
        (Internal(COPY), ""),
        (Internal("Dst tensor is not initialized.\n\t [[{{node zeros}}]]"), ""),
        (ResourceExhausted(JIT), "2.27 GiB were asked for, "),
        (ResourceExhausted(JIT_IN_FIT), "1.02 GiB were asked for, "),
        (ResourceExhausted("Failed to allocate request for 2.99GiB (3206250496B) on device ordinal 0"), "2.99 GiB"),
        (ResourceExhausted("OOM when allocating tensor of shape [3,3,384,384] and type double"), "10.1 MiB were"),
        (ResourceExhausted("CUDNN failed to allocate the scratch space for the runner"), ""),
        (Internal("Failed to load module: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), ""),
    ],
)
def test_each_way_in_which_tensorflow_says_it_is_known(error, told):
    assert describe(error, ONE_GPU).startswith(f"out of memory on GPU:0: {told}")
    assert "1.00 GiB were in use of the card's 8.00 GiB" in describe(error, ONE_GPU)


@pytest.mark.parametrize(
    "error",
    [
        XlaRuntime("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes."),
        JaxRuntime("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4.00GiB."),
        ValueError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes."),
        XlaRuntime("RESOURCE_EXHAUSTED: Failed to allocate request for 4.00GiB (4294967296B) on device ordinal 0"),
        XlaRuntime("INTERNAL: Failed to allocate 4294967296 bytes for new constant"),
    ],
)
def test_jax_is_told_in_whatever_type_it_says_it(error):
    jax = DeviceMarks(cards=[card()], allocators=[marks("jax", limit=6 * GIB, in_use=0, peak=5 * GIB)])
    owner = "the" if type(error) is ValueError else "JAX's"
    assert describe(error, jax) == (
        "out of memory on GPU:0: 4.00 GiB were asked for,"
        f" at most 5.00 GiB were in use of the 6.00 GiB that {owner} allocator may hold"
    )


def test_pytorch_tells_itself_what_was_in_use_at_that_moment():
    assert describe(TorchOutOfMemory(TORCH), None) == (
        "out of memory on GPU:0: 22.78 GiB were asked for, 9.08 GiB were in use of the card's 31.47 GiB"
    )


def test_pytorchs_own_limit_is_the_one_in_force():
    assert describe(TorchOutOfMemory(TORCH_FRACTION), None) == (
        "out of memory on GPU:1: 512.0 MiB were asked for,"
        " 984.5 MiB were in use of the 1.20 GiB that PyTorch's allocator may hold"
    )


@pytest.mark.parametrize(
    "error",
    [
        error_class("torch.cuda.OutOfMemoryError", RuntimeError)("new words"),
        error_class("torch.AcceleratorError", RuntimeError)("CUDA error: out of memory"),
        error_class("cupy.cuda.memory.OutOfMemoryError", MemoryError)("Out of memory allocating 1,024 bytes"),
        RuntimeError("cuBLAS error CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_what_is_not_known_is_left_out(error):
    assert describe(error, None) == "out of memory on a GPU"


def test_a_type_of_the_tests_own_that_is_also_the_frameworks_is_known():
    error = error_class("myproject.TooBig", ResourceExhausted)(EAGER % "GPU_0_bfc")
    assert describe(error, ONE_GPU).startswith("out of memory on GPU:0: 8.00 GiB were asked for")


@pytest.mark.parametrize(
    "error",
    [
        # TensorFlow's, on the CPU, under each of its allocators.
        ResourceExhausted(EAGER.replace("GPU:0", "CPU:0") % "bfc_cpu_allocator_for_gpu"),
        ResourceExhausted(EAGER.replace("GPU:0", "CPU:0") % "mklcpu"),
        ResourceExhausted(EAGER.replace("GPU:0", "CPU:0") % "cpu"),
        # Memory of the host that the GPU may read.
        ResourceExhausted(EAGER % "gpu_host_bfc"),
        ResourceExhausted(COMPILED_KERNEL.replace("GPU:0", "CPU:0")),
        # Other things that may be exhausted.
        ResourceExhausted("Received message larger than max (5242880 vs. 4194304)"),
        ResourceExhausted("FIFOQueue '_0_queue' is full (capacity 1)"),
        XlaRuntime("RESOURCE_EXHAUSTED: Out of memory allocating 40000000000 bytes."),  # as XLA says it on a CPU
        MemoryError("Unable to allocate 1.00 TiB for an array with shape (1024,)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        Internal(COPY.replace("GPU:0 in", "CPU:0 in")),
        RuntimeError("failed to allocate memory for the queue"),
        # Who only quotes it.
        AssertionError(f"assert 'ok' in {JIT!r}"),
        KeyError("CUDA out of memory"),
        error_class("myproject.ResourceExhaustedError")(EAGER % "GPU_0_bfc"),
        ResourceExhausted(""),
    ],
)
def test_what_is_no_refusal_of_a_device_is_told_as_none(error):
    assert describe(error, ONE_GPU) == ""


@pytest.mark.parametrize("devices", [None, NO_GPU])
@pytest.mark.parametrize("text", [JIT, FUSED_KERNEL])
def test_what_xla_says_of_the_host_as_well_needs_a_gpu_to_be_a_gpus(devices, text):
    assert describe(ResourceExhausted(text), devices) == ""


def test_a_limit_that_tf_runtime_set_is_called_by_that_name():
    limited = DeviceMarks(cards=[card()], allocators=[marks(limit=2 * GIB, in_use=MIB)])
    error = ResourceExhausted(EAGER % "GPU_0_bfc")
    assert describe(error, limited, 2 * GIB + 1).endswith(
        "at most 1.00 GiB were in use of the 2.00 GiB that tf_runtime(memory_limit=...) allows"
    )
    assert describe(error, limited, 4 * GIB).endswith("of the 2.00 GiB that TensorFlow's allocator may hold")
    assert describe(error, limited).endswith("of the 2.00 GiB that TensorFlow's allocator may hold")


def test_an_allocator_without_statistics_leaves_only_the_card_to_tell():
    silent = DeviceMarks(cards=[card()], allocators=[marks(why_not="cuda_malloc keeps no statistics")])
    assert describe(ResourceExhausted(EAGER % "gpu_debug"), silent) == (
        "out of memory on GPU:0: 8.00 GiB were asked for (float32 [32768,65536]),"
        " there is no more than the card's 8.00 GiB"
    )


def test_the_numbers_are_those_of_the_gpu_that_refused():
    two = DeviceMarks(
        cards=[card(), card(uuid="GPU-2")],
        allocators=[marks(device="GPU:1", in_use=3 * GIB, peak=3 * GIB), marks(), marks("torch", in_use=1, peak=1)],
    )
    assert "1.00 GiB were in use" in describe(ResourceExhausted(EAGER % "GPU_0_bfc"), two)
    assert "3.00 GiB were in use" in describe(ResourceExhausted(EAGER.replace("GPU:0", "GPU:1") % "GPU_1_bfc"), two)


def test_no_gpu_is_named_where_it_could_be_either():
    two = DeviceMarks(cards=[card(), card(uuid="GPU-2")], allocators=[marks(), marks(device="GPU:1")])
    assert describe(ResourceExhausted(JIT), two) == "out of memory on a GPU: 2.27 GiB were asked for"


def test_a_refusal_of_what_would_have_fitted_says_so():
    small = EAGER.replace("[32768,65536]", "[512,512]") % "gpu_async_0"
    assert describe(ResourceExhausted(small), ONE_GPU) == (
        "out of memory on GPU:0: 1.0 MiB were asked for (float32 [512,512]), 1.00 GiB were in use of the card's 8.00"
        " GiB; by that count it would have fitted, so the free memory is in pieces, something else holds part of the"
        " card, or another CUDA error came before"
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("shape[] and type half", "2 B were asked for (float16 [])"),
        ("shape[0,5] and type bfloat16", "0 B were asked for (bfloat16 [0,5])"),
        ("shape[?,5] and type float", "float32 [?,5] was asked for"),
        ("shape[7] and type variant", "variant [7] was asked for"),
        ("shape[1099511627776] and type float", "4.00 TiB were asked for (float32 [1099511627776])"),
    ],
)
def test_the_size_of_a_tensor_is_told_where_its_shape_and_type_give_one(written, told):
    text = (EAGER % "GPU_0_bfc").replace("shape[32768,65536] and type float", written)
    assert told in describe(ResourceExhausted(text), ONE_GPU)


def raised(*errors: BaseException, cause: bool) -> BaseException:
    """The last of `errors`, raised while each before it was handled or from it."""
    for behind, error in itertools.pairwise(errors):
        setattr(error, "__cause__" if cause else "__context__", behind)
    return errors[-1]


@pytest.mark.parametrize("cause", [True, False])
def test_a_refusal_behind_another_error_is_found(cause):
    error = raised(TorchOutOfMemory(TORCH), ValueError("retry"), AssertionError("no result"), cause=cause)
    assert describe(error, None).startswith("out of memory on GPU:0")


def test_a_refusal_that_the_test_hid_with_from_none_stays_hidden():
    error = raised(TorchOutOfMemory(TORCH), ValueError("retry"), cause=False)
    error.__suppress_context__ = True
    assert describe(error, None) == ""


def test_a_refusal_in_a_group_of_errors_is_found():
    inner = ExceptionGroup("two threads", [ValueError("one"), TorchOutOfMemory(TORCH)])
    assert describe(BaseExceptionGroup("all", [KeyboardInterrupt(), inner]), None).startswith("out of memory on GPU:0")


def test_a_chain_that_leads_back_into_itself_ends():
    first, second = ValueError("first"), RuntimeError("second")
    first.__context__, second.__context__ = second, first
    assert describe(first, None) == ""


def test_an_error_that_cannot_be_printed_is_passed_over():
    def broken(self):
        raise RuntimeError("no text")

    unprintable = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch", "__str__": broken})
    assert describe(raised(TorchOutOfMemory(TORCH), unprintable(), cause=True), None).startswith("out of memory")


def test_recognising_a_framework_imports_none():
    heavy = {"tensorflow", "torch", "jax"} - sys.modules.keys()
    describe(ResourceExhausted(EAGER % "GPU_0_bfc"), ONE_GPU)
    assert heavy.isdisjoint(sys.modules)


@given(st.text(), st.sampled_from([EAGER, COPY, JIT, TORCH, COMPILED_KERNEL]), st.integers(0, 300))
def test_whatever_stands_in_a_text_the_sentence_is_one_line_for_people(noise, text, place):
    error = ResourceExhausted(text[:place] + noise + text[place:])
    sentence = describe(error, ONE_GPU)
    assert sentence.isprintable()
    assert sentence == "" or sentence.startswith("out of memory on ")
