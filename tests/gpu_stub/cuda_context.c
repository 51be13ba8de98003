/* libcuda: contexts. Each device has its primary one, and cuCtxCreate gives that too. */
#include "cuda.h"

/* A thread has a stack of them. */
static __thread struct device *stack[64];
static __thread int depth;

struct device *current_device(void) { return depth ? stack[depth - 1] : NULL; }

struct usage *device_usage(const struct device *device) {
    struct process *own = account_own();
    return own ? &own->usage[device->card] : NULL;
}

static CUresult retain(struct device *device) {
    struct usage *usage = device_usage(device);
    uint64_t context_bytes = device_card(device)->context_bytes;
    if (!usage) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!device->retained) {
        if (!card_has_room(device->card, context_bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
        usage->context = context_bytes;
        usage_raise_peak(usage);
    }
    device->retained++;
    return CUDA_SUCCESS;
}

static void release(struct device *device, int wholly) {
    if (!device->retained) return;
    device->retained = wholly ? 0 : device->retained - 1;
    if (device->retained) return;
    forget_allocations(device);
    struct usage *usage = device_usage(device);
    if (usage) usage->context = 0;
}

CUresult cuDevicePrimaryCtxRetain(struct device **context, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    if (device_card(device)->lost) return CUDA_ERROR_UNKNOWN;
    account_lock();
    CUresult result = retain(device);
    account_unlock();
    if (result == CUDA_SUCCESS) *context = device;
    return result;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    account_lock();
    release(device, 0);
    account_unlock();
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    account_lock();
    release(device, 1);
    account_unlock();
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned *flags, int *is_active) {
    ENTER_DEVICE(ordinal, device);
    *flags = 0;
    *is_active = device->retained > 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(struct device *context) {
    ENTER();
    if (depth == sizeof stack / sizeof *stack) return CUDA_ERROR_INVALID_VALUE;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(struct device **context) {
    ENTER();
    if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context) *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(struct device **context) {
    ENTER();
    *context = current_device();
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(struct device *context) {
    ENTER();
    if (!depth) depth = 1;
    stack[depth - 1] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(struct device **context, unsigned flags, CUdevice ordinal) {
    CUresult result = cuDevicePrimaryCtxRetain(context, ordinal);
    return result ? result : cuCtxPushCurrent_v2(*context);
}

CUresult cuCtxDestroy_v2(struct device *context) { return cuDevicePrimaryCtxRelease_v2(context - devices); }

CUresult cuCtxGetDevice(CUdevice *ordinal) {
    ENTER_CONTEXT(device);
    *ordinal = device - devices;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    ENTER();
    *least = 0;
    *greatest = -5;
    return CUDA_SUCCESS;
}
