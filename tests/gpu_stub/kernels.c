/* The kernels that do something after all: those by whose results TensorFlow decides what to do next.
 *
 * A network whose batches may have any size takes the shape of a gradient from the device, and which variables are
 * initialised is asked there; with nothing computed, TensorFlow would refuse the one, and leave out some of the others.
 * Written after tensorflow/core/kernels/dynamic_stitch_op_gpu.cu.cc and gather_functor_gpu.cu.h,
 * concat_lib_gpu_impl.cu.cc and reduction_gpu_kernels.cu.h. An argument is given by its address. */
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

struct parts {
    int32_t size;
    const char *few[8], **many;
};

/* Of truth values, in rows: whether each variable is initialised is asked so. */
static void concatenate(void **arguments) {
    const struct parts *parts = arguments[0];
    int32_t width = *(int32_t *)arguments[1], rows = *(int32_t *)arguments[2], columns = *(int32_t *)arguments[3];
    char *to = *(char **)arguments[4];
    const char *const *part = parts->size <= 8 ? parts->few : parts->many;
    for (int32_t row = 0; row < rows; row++)
        for (int32_t column = 0; column < columns; column++)
            to[row * columns + column] = part[column / width][row * width + column % width];
}

static struct kernel {
    const char *name;
    void (*run)(void **arguments);
    const void *function;
} kernels[] = {
    {"_ZN10tensorflow12_GLOBAL__N_119DynamicStitchKernelIiEEviiNS_20GpuDeviceArrayStructIiLi8EEENS2_IPKT_Li8EEEPS4_",
     stitch, 0},
    {"_ZN10tensorflow14GatherOpKernelINS_13AlignedVectorIiLi1EEEiLb1EEEvPKT_PKT0_PS3_llll", gather, 0},
    {"_ZN10tensorflow7functor17BlockReduceKernelIPiS2_Li256ENS0_4ProdIiEEEEvT_T0_iT2_NSt15iterator_traitsIS5_E10value_"
     "typeE",
     multiply, 0},
    {"_ZN10tensorflow12_GLOBAL__N_119concat_fixed_kernelIbiEEvNS_20GpuDeviceArrayStructIPKT_Li8EEEiiiPS3_",
     concatenate, 0},
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
