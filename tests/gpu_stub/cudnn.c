/* libcudnn: one engine, which does nothing and needs no workspace, is the answer to every question for the best one. */
#include "account.h"

#include <stdlib.h>
#include <string.h>

size_t cudnnGetVersion(void) {
    COUNT_CALL();
    return 91000;
}

int cudnnGetProperty(int part, int *value) {
    COUNT_CALL();
    *value = part == 0 ? 9 : part == 1 ? 10 : 0;
    return 0;
}

const char *cudnnGetErrorString(int status) { return "an error of the stand-in cuDNN"; }

void cudnnGetLastErrorString(char *text, size_t size) {
    if (size) *text = 0;
}

/* The backend's interface, by which cudnn-frontend works: graphs of operations as descriptors with attributes. What is
 * set is forgotten; of what is read, only how many engines there are matters, and that numbers are 0. */
int cudnnBackendCreateDescriptor(int kind, void **descriptor) {
    COUNT_CALL();
    *descriptor = calloc(1, 64);
    return 0;
}

int cudnnBackendDestroyDescriptor(void *descriptor) {
    COUNT_CALL();
    free(descriptor);
    return 0;
}

/* Of cudnnBackendAttributeName_t, and of cudnnBackendAttributeType_t. */
enum { ENGINECFG_KNOB_CHOICES = 302, ENGINE_KNOB_INFO = 1302 };
enum { TYPE_BOOLEAN = 2, TYPE_INT64 = 3, TYPE_FLOAT = 4, TYPE_DOUBLE = 5, TYPE_DESCRIPTOR = 15 };

static size_t size_of(int type) {
    if (type == TYPE_BOOLEAN) return 1;
    return type == TYPE_INT64 || type == TYPE_DOUBLE ? 8 : 4;
}

int cudnnBackendGetAttribute(void *descriptor, int name, int type, int64_t room, int64_t *count, void *values) {
    COUNT_CALL();
    /* The caller has made the descriptors that are to be filled. */
    int64_t found = type == TYPE_DESCRIPTOR ? name != ENGINECFG_KNOB_CHOICES && name != ENGINE_KNOB_INFO : 1;
    if (type == TYPE_INT64 || type == TYPE_BOOLEAN || type == TYPE_FLOAT || type == TYPE_DOUBLE) {
        if (values && room > 0) memset(values, 0, size_of(type));
    } else if (type != TYPE_DESCRIPTOR) {
        found = 0; /* lists of notes, knobs and layouts */
    }
    if (count) *count = found;
    return 0;
}

/* The older interface: tables of algorithms, of which the first will do. */
struct algorithm {
    int algorithm, status;
    float milliseconds;
    size_t workspace_bytes;
    int determinism, math_type, reserved[3];
};

static int one_algorithm(int room, int *count, struct algorithm *found) {
    memset(found, 0, room * sizeof *found);
    *count = 1;
    return 0;
}

#define ALGORITHMS(kind)                                                                                           \
    int cudnnGetConvolution##kind##Algorithm_v7(void *handle, void *a, void *b, void *c, void *d, int room,        \
                                                int *count, struct algorithm *found) {                             \
        COUNT_CALL();                                                                                              \
        return one_algorithm(room, count, found);                                                                  \
    }                                                                                                              \
    int cudnnGetConvolution##kind##WorkspaceSize(void *handle, void *a, void *b, void *c, void *d, int algorithm,  \
                                                 size_t *size) {                                                   \
        COUNT_CALL();                                                                                              \
        *size = 0;                                                                                                 \
        return 0;                                                                                                  \
    }                                                                                                              \
    int cudnnGetConvolution##kind##AlgorithmMaxCount(void *handle, int *count) {                                   \
        COUNT_CALL();                                                                                              \
        *count = 1;                                                                                                \
        return 0;                                                                                                  \
    }
ALGORITHMS(Forward)
ALGORITHMS(BackwardData)
ALGORITHMS(BackwardFilter)

/* Recurrent layers: their weights, workspace and reserve space take next to no room here. */
int cudnnGetTensorNdDescriptor(void *descriptor, int room, int *data_type, int *dimensions, int *sizes, int *strides) {
    COUNT_CALL();
    *data_type = 0; /* float */
    *dimensions = 3;
    for (int i = 0; i < 3 && i < room; i++) sizes[i] = strides[i] = 1;
    return 0;
}

int cudnnGetRNNWeightSpaceSize(void *handle, void *layer, size_t *size) {
    COUNT_CALL();
    *size = 0;
    return 0;
}

int cudnnGetRNNTempSpaceSizes(void *handle, void *layer, int mode, void *input, size_t *workspace, size_t *reserve) {
    COUNT_CALL();
    if (workspace) *workspace = 0;
    if (reserve) *reserve = 256; /* TensorFlow makes an output of it, which cannot be empty */
    return 0;
}

int cudnnDropoutGetStatesSize(void *handle, size_t *size) {
    COUNT_CALL();
    *size = 0;
    return 0;
}

int cudnnDropoutGetReserveSpaceSize(void *descriptor, size_t *size) {
    COUNT_CALL();
    *size = 0;
    return 0;
}
