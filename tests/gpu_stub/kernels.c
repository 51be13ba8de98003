/* The kernels that do something after all: those by which TensorFlow computes shapes on the device.
 *
 * A network whose batches may have any size takes the shape of a gradient from there; with nothing computed, TensorFlow
 * would refuse it.
 * Written after tensorflow/core/kernels/dynamic_stitch_op_gpu.cu.cc and gather_functor_gpu.cu.h and
 * reduction_gpu_kernels.cu.h. An argument is given by its address. */
#include "kernels.h"

#include <stdint.h>
#include <string.h>

/* GpuDeviceArrayStruct: up to eight values within itself, or else an array elsewhere. */
struct indices {
    int32_t size, few[8];
    const int32_t *many;
};
struct pointers {
    int32_t size;
    const int32_t *few[8], **many;
};

static void stitch(void **arguments) {
    int32_t slice_size = *(int32_t *)arguments[0], size = *(int32_t *)arguments[1];
    const struct indices *indices = arguments[2];
    const struct pointers *slices = arguments[3];
    int32_t *to = *(int32_t **)arguments[4];
    const int32_t *of_slice = indices->size <= 8 ? indices->few : indices->many;
    const int32_t *const *slice = slices->size <= 8 ? slices->few : slices->many;
    for (int32_t i = 0; i < size; i++)
        if (of_slice[i / slice_size] != -1) to[i] = slice[of_slice[i / slice_size]][i % slice_size];
}

/* Along the first axis. What is out of bounds is 0. */
static void gather(void **arguments) {
    const int32_t *from = *(int32_t **)arguments[0], *indices = *(int32_t **)arguments[1];
    int32_t *to = *(int32_t **)arguments[2];
    int64_t rows = *(int64_t *)arguments[3], slice_size = *(int64_t *)arguments[5], size = *(int64_t *)arguments[6];
    for (int64_t i = 0; i < size; i++) {
        int64_t row = indices[i / slice_size];
        to[i] = row >= 0 && row < rows ? from[row * slice_size + i % slice_size] : 0;
    }
}

/* Of at most 4096 numbers, by one block. */
static void multiply(void **arguments) {
    const int32_t *from = *(int32_t **)arguments[0];
    int32_t *to = *(int32_t **)arguments[1], count = *(int32_t *)arguments[2], product = 1;
    for (int32_t i = 0; i < count; i++) product *= from[i];
    *to = product;
}

static struct kernel {
    const char *name;
    void (*run)(void **arguments);
    const void *function;
} kernels[] = {
    {"_ZN10tensorflow12_GLOBAL__N_119DynamicStitchKernelIiEEviiNS_20GpuDeviceArrayStructIiLi8EEENS2_IPKT_Li8EEEPS4_",
     stitch, 0},
    {"_ZN10tensorflow14GatherOpKernelINS_13AlignedVectorIiLi1EEEiLb1EEEvPKT_PKT0_PS3_llll", gather, 0},
    {"_ZN10tensorflow7functor17BlockReduceKernelIPiS2_Li256ENS0_4ProdIiEEEEvT_T0_iT2_NSt15iterator_traitsIS5_E10value_typeE",
     multiply, 0},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

void register_kernel(const void *function, const char *name) {
    for (int i = 0; i < KERNELS; i++)
        if (strcmp(name, kernels[i].name) == 0) kernels[i].function = function;
}

void run_kernel(const void *function, void **arguments) {
    for (int i = 0; i < KERNELS; i++)
        if (kernels[i].function == function) kernels[i].run(arguments);
}
