/* libcufft: plans are numbers, and need no workspace. */
#include "account.h"

int cufftCreate(int *plan) {
    COUNT_CALL();
    *plan = 1;
    return 0;
}

int cufftMakePlanMany64(int plan, int rank, long long *sizes, long long *in, long long in_stride, long long in_distance,
                        long long *out, long long out_stride, long long out_distance, int kind, long long batch,
                        size_t *workspace) {
    COUNT_CALL();
    *workspace = 0;
    return 0;
}
