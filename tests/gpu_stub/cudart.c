/* libcudart: what TensorFlow's own kernels ask of the runtime, answered by libcuda. */
#define _GNU_SOURCE
#include "account.h"
#include "kernels.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Looked up at the first use, as the real runtime does: importing TensorFlow must not load the driver. */
static int driver(const char *name, void *a, uintptr_t b, uintptr_t c) {
    static void *library;
    if (!library) library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    int (*function)(void *, uintptr_t, uintptr_t) = library ? dlsym(library, name) : NULL;
    return function ? function(a, b, c) : 35; /* cudaErrorInsufficientDriver */
}

int cudaGetDevice(int *device) {
    COUNT_CALL();
    if (driver("cuCtxGetDevice", device, 0, 0)) *device = 0;
    return 0;
}

int cudaSetDevice(int device) {
    COUNT_CALL();
    void *context;
    int result = driver("cuDevicePrimaryCtxRetain", &context, device, 0);
    return result ? result : driver("cuCtxSetCurrent", context, 0, 0);
}

int cudaGetDeviceCount(int *count) {
    COUNT_CALL();
    driver("cuInit", NULL, 0, 0);
    return driver("cuDeviceGetCount", count, 0, 0);
}

int cudaDriverGetVersion(int *version) {
    COUNT_CALL();
    return driver("cuDriverGetVersion", version, 0, 0);
}

int cudaRuntimeGetVersion(int *version) {
    COUNT_CALL();
    *version = 12090;
    return 0;
}

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    COUNT_CALL();
    return driver("cuDeviceGetAttribute", value, attribute, device);
}

int cudaDeviceGetPCIBusId(char *id, int size, int device) {
    COUNT_CALL();
    return driver("cuDeviceGetPCIBusId", id, size, device);
}

int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    COUNT_CALL();
    *least = 0;
    *greatest = -5;
    return 0;
}

/* cudaDeviceProp of CUDA 12, as far as anyone here reads it; what follows are limits, all large. */
struct properties {
    char name[256], uuid[16], luid[8];
    unsigned luid_mask;
    size_t total_bytes, shared_bytes_per_block;
    int registers_per_block, warp_size;
    size_t memory_pitch;
    int threads_per_block, threads_dim[3], grid_size[3], clock_rate;
    size_t constant_bytes;
    int major, minor;
    size_t texture_alignment, texture_pitch_alignment;
    int device_overlap, multiprocessors, kernel_timeout, integrated, can_map_host, compute_mode;
    int limits[156];
};
_Static_assert(sizeof(struct properties) == 1032, "cudaDeviceProp of CUDA 12");

int cudaGetDeviceProperties_v2(struct properties *it, int device) {
    COUNT_CALL();
    memset(it, 0, sizeof *it);
    for (int i = 0; i < 156; i++) it->limits[i] = 2048;
    driver("cuDeviceGetName", it->name, sizeof it->name, device);
    driver("cuDeviceGetUuid_v2", it->uuid, device, 0);
    driver("cuDeviceTotalMem_v2", &it->total_bytes, device, 0);
    driver("cuDeviceGetAttribute", &it->major, 75, device);
    driver("cuDeviceGetAttribute", &it->minor, 76, device);
    it->shared_bytes_per_block = 49152;
    it->registers_per_block = 65536;
    it->warp_size = 32;
    it->memory_pitch = 2147483647;
    it->threads_per_block = it->threads_dim[0] = it->threads_dim[1] = 1024;
    it->threads_dim[2] = 64;
    it->grid_size[0] = 2147483647;
    it->grid_size[1] = it->grid_size[2] = 65535;
    it->clock_rate = 1410000;
    it->constant_bytes = 65536;
    it->texture_alignment = 512;
    it->texture_pitch_alignment = 32;
    it->device_overlap = it->can_map_host = 1;
    it->multiprocessors = 108;
    return 0;
}

int cudaGetDeviceProperties(struct properties *it, int device) { return cudaGetDeviceProperties_v2(it, device); }

const char *cudaGetErrorString(int error) { return "an error of the stand-in runtime"; }
const char *cudaGetErrorName(int error) { return "cudaError"; }

/* Memory: the same allocations as the driver's. */
int cudaMalloc(void **address, size_t size) {
    COUNT_CALL();
    return driver("cuMemAlloc_v2", address, size, 0);
}

int cudaFree(void *address) {
    COUNT_CALL();
    return driver("cuMemFree_v2", address, 0, 0);
}

int cudaMallocAsync(void **address, size_t size, void *stream) {
    COUNT_CALL();
    return driver("cuMemAllocAsync", address, size, (uintptr_t)stream);
}

int cudaFreeAsync(void *address, void *stream) {
    COUNT_CALL();
    return driver("cuMemFreeAsync", address, (uintptr_t)stream, 0);
}

int cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes) {
    COUNT_CALL();
    return driver("cuMemGetInfo_v2", free_bytes, (uintptr_t)total_bytes, 0);
}

int cudaMemcpy(void *to, const void *from, size_t size) {
    COUNT_CALL();
    memcpy(to, from, size);
    return 0;
}

int cudaMemcpyAsync(void *to, const void *from, size_t size) { return cudaMemcpy(to, from, size); }

int cudaMemset(void *to, int value, size_t size) {
    COUNT_CALL();
    memset(to, value, size);
    return 0;
}

int cudaMemsetAsync(void *to, int value, size_t size) { return cudaMemset(to, value, size); }

/* Kernels are registered when TensorFlow is loaded; to launch one does nothing, but for those of kernels.c. */
static void *handle(void) { return calloc(1, 64); }

void **__cudaRegisterFatBinary(void *binary) { return handle(); }
void __cudaRegisterFatBinaryEnd(void **binary) {}
void __cudaUnregisterFatBinary(void **binary) {}
void __cudaRegisterFunction(void **binary, const void *function, char *unused, const char *name) {
    register_kernel(function, name);
}
void __cudaRegisterVar(void) {}

struct dim3 {
    unsigned x, y, z;
};
static __thread struct {
    struct dim3 grid, block;
    size_t shared_bytes;
    void *stream;
} configuration;

int cudaLaunchKernel(const void *function, struct dim3 grid, struct dim3 block, void **arguments) {
    COUNT_CALL();
    run_kernel(function, arguments);
    return 0;
}

unsigned __cudaPushCallConfiguration(struct dim3 grid, struct dim3 block, size_t shared_bytes, void *stream) {
    configuration.grid = grid;
    configuration.block = block;
    configuration.shared_bytes = shared_bytes;
    configuration.stream = stream;
    return 0;
}

int __cudaPopCallConfiguration(struct dim3 *grid, struct dim3 *block, size_t *shared_bytes, void **stream) {
    *grid = configuration.grid;
    *block = configuration.block;
    *shared_bytes = configuration.shared_bytes;
    *stream = configuration.stream;
    return 0;
}

int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) {
    COUNT_CALL();
    *blocks = 2;
    return 0;
}

int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks);
}

/* cudaFuncAttributes: sizes of shared, constant and local memory, then threads per block. */
int cudaFuncGetAttributes(char *attributes, const void *function) {
    COUNT_CALL();
    memset(attributes, 0, 80);
    ((int *)attributes)[6] = 1024;
    return 0;
}

static int hand_out(void **address) {
    *address = handle();
    return 0;
}

int cudaGetSymbolAddress(void **address, const void *symbol) { return hand_out(address); }
int cudaGetFuncBySymbol(void **function, const void *symbol) { return hand_out(function); }
int cudaGetKernel(void **kernel, const void *symbol) { return hand_out(kernel); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { return hand_out(stream); }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return hand_out(event); }

int cudaStreamIsCapturing(void *stream, int *status) {
    *status = 0;
    return 0;
}
