/* libcuda: streams, copies, modules and graphs. Copies are made at once; kernels do nothing. */
#define _GNU_SOURCE
#include "cuda.h"

#include <stdlib.h>
#include <string.h>

/* On a card that is lost, nothing can be done any more. */
#define ENTER_WORK()                                     \
    ENTER();                                             \
    if (current_device() && device_card(current_device())->lost) return CUDA_ERROR_UNKNOWN

CUresult cuLaunchKernel(void) {
    ENTER_WORK();
    return CUDA_SUCCESS;
}

/* For things of which only the address matters. They are never freed: a few hundred small ones in a process. */
static CUresult hand_out(void **handle) {
    *handle = calloc(1, 64);
    return CUDA_SUCCESS;
}

#define HANDLE(name, ...) CUresult name(void **handle, ##__VA_ARGS__) { ENTER_WORK(); return hand_out(handle); }
HANDLE(cuStreamCreate, unsigned flags)
HANDLE(cuStreamCreateWithPriority, unsigned flags, int priority)
HANDLE(cuEventCreate, unsigned flags)
HANDLE(cuModuleLoadData)
HANDLE(cuModuleLoadDataEx)
HANDLE(cuModuleLoadFatBinary)
HANDLE(cuModuleGetFunction)
HANDLE(cuLibraryLoadData)
HANDLE(cuLibraryGetKernel)
HANDLE(cuKernelGetFunction)
HANDLE(cuGraphCreate)
HANDLE(cuGraphInstantiate)
HANDLE(cuGraphInstantiate_v2)
HANDLE(cuGraphInstantiateWithFlags)
HANDLE(cuGraphInstantiateWithParams)
HANDLE(cuGraphAddKernelNode)
HANDLE(cuGraphAddKernelNode_v2)
HANDLE(cuGraphAddMemcpyNode)
HANDLE(cuGraphAddMemsetNode)
HANDLE(cuGraphAddChildGraphNode)
HANDLE(cuGraphAddEmptyNode)
HANDLE(cuGraphAddNode)
HANDLE(cuGraphAddNode_v2)

/* Waiting for work, of which there is none, is when pools give back. */
#define WAIT(name, ...) CUresult name(__VA_ARGS__) { ENTER_WORK(); trim_pools(); return CUDA_SUCCESS; }
WAIT(cuStreamSynchronize, void *stream)
WAIT(cuEventSynchronize, void *event)
WAIT(cuCtxSynchronize, void)

CUresult cuStreamGetPriority(void *stream, int *priority) {
    ENTER();
    *priority = 0;
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    ENTER();
    *milliseconds = 0.01f;
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
    return cuEventElapsedTime(milliseconds, start, end);
}

CUresult cuLaunchHostFunc(void *stream, void (*function)(void *), void *data) {
    ENTER();
    function(data);
    return CUDA_SUCCESS;
}

CUresult cuStreamAddCallback(void *stream, void (*function)(void *, int, void *), void *data, unsigned flags) {
    ENTER();
    function(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}

#define COPY(name, ...)                                             \
    CUresult name(void *to, const void *from, size_t size, ##__VA_ARGS__) { \
        ENTER_WORK();                                               \
        memcpy(to, from, size);                                     \
        return CUDA_SUCCESS;                                        \
    }
COPY(cuMemcpyHtoD_v2)
COPY(cuMemcpyDtoH_v2)
COPY(cuMemcpyDtoD_v2)
COPY(cuMemcpyHtoDAsync_v2, void *stream)
COPY(cuMemcpyDtoHAsync_v2, void *stream)
COPY(cuMemcpyDtoDAsync_v2, void *stream)

#define FILL(name, type, ...)                                       \
    CUresult name(type *to, type value, size_t count, ##__VA_ARGS__) { \
        ENTER_WORK();                                               \
        for (size_t i = 0; i < count; i++) to[i] = value;           \
        return CUDA_SUCCESS;                                        \
    }
FILL(cuMemsetD8_v2, uint8_t)
FILL(cuMemsetD8Async, uint8_t, void *stream)
FILL(cuMemsetD32_v2, uint32_t)
FILL(cuMemsetD32Async, uint32_t, void *stream)

CUresult cuFuncGetAttribute(int *value, int attribute, void *function) {
    ENTER();
    *value = attribute == 0 ? 1024 : 0; /* MAX_THREADS_PER_BLOCK; no shared or local memory, no registers */
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) {
    ENTER();
    *blocks = 2;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks);
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid_size, int *block_size) {
    ENTER();
    *grid_size = 216;
    *block_size = 1024;
    return CUDA_SUCCESS;
}

enum { ATTRIBUTE_CONTEXT = 1, ATTRIBUTE_MEMORY_TYPE = 2, ATTRIBUTE_DEVICE_ORDINAL = 9 };

CUresult cuPointerGetAttribute(void *value, int attribute, const void *address) {
    ENTER();
    void *begin;
    size_t size;
    account_lock();
    struct device *device = device_of_address(address, &begin, &size);
    account_unlock();
    if (attribute == ATTRIBUTE_CONTEXT) *(struct device **)value = device;
    else if (attribute == ATTRIBUTE_MEMORY_TYPE) *(unsigned *)value = device ? 2 : 1; /* the device's, the host's */
    else *(int *)value = attribute == ATTRIBUTE_DEVICE_ORDINAL && device ? (int)(device - devices) : 0;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(void **begin, size_t *size, const void *address) {
    ENTER();
    account_lock();
    struct device *device = device_of_address(address, begin, size);
    account_unlock();
    return device ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
