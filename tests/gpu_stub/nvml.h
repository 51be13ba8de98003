/* What the two sources of the stand-in NVML share. A device's handle is the address of its card in the account. */
#pragma once
#include "account.h"

typedef int nvmlReturn;
enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NO_PERMISSION = 4,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
};

/* Whether NVML may be asked now: initialised, and the driver has not died. Spends one of the calls that are left. */
nvmlReturn nvml_state(void);
/* Whether this is a card's handle, and the card is there. */
nvmlReturn card_state(const struct card *card);
nvmlReturn write_text(char *to, unsigned size, const char *text);

static inline unsigned card_index(const struct card *card) { return card - account()->cards; }
static inline int is_mig_device(const struct card *card) { return card->parent >= 0; }

#define ENTER() COUNT_CALL(); do { nvmlReturn state = nvml_state(); if (state) return state; } while (0)
#define ENTER_CARD(card) ENTER(); do { nvmlReturn state = card_state(card); if (state) return state; } while (0)
