"""Which GPUs this machine has, by NVIDIA's management library."""

from __future__ import annotations


def gpu_names() -> tuple[str, ...]:
    """Names of the GPUs that the driver lists, such as "NVIDIA H200"; none if there is no driver.

    NVML: nvmlDeviceGetCount, nvmlDeviceGetName. Makes no CUDA context.
    """
    import pynvml  # noqa: PLC0415  only when a machine's GPUs are asked for

    if not hasattr(pynvml, "nvmlInit"):
        return ()  # another package's module of this name; `tfmem doctor` says which
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        count = pynvml.nvmlDeviceGetCount()
        return tuple(
            _text(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))) for index in range(count)
        )
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "replace")
