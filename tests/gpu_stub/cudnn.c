/* libcudnn and libcublasLt: who they say they are. */
#include "account.h"

size_t cudnnGetVersion(void) {
    COUNT_CALL();
    return 91000;
}

int cudnnGetProperty(int part, int *value) {
    COUNT_CALL();
    *value = part == 0 ? 9 : part == 1 ? 10 : 0;
    return 0;
}
