/* libcublasLt: who it says it is. */
#include "account.h"

size_t cublasLtGetVersion(void) {
    COUNT_CALL();
    return 120900;
}
