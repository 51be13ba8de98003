/* The stand-in driver's own state, for its sources. All of it is changed under the account's lock. */
#pragma once
#include "account.h"

typedef int CUresult;
typedef int CUdevice;

enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_OUT_OF_MEMORY = 2,
    CUDA_ERROR_NOT_INITIALIZED = 3,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_INVALID_DEVICE = 101,
    CUDA_ERROR_INVALID_CONTEXT = 201,
    CUDA_ERROR_INVALID_HANDLE = 400,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_NOT_SUPPORTED = 801,
    CUDA_ERROR_UNKNOWN = 999, /* what follows when a card has fallen off its bus */
};

/* A visible device: its place in the account, its primary context (whose handle is its address), its default pool. */
struct device {
    unsigned card;
    unsigned retained;
    uint64_t pool_threshold, pool_reserved_high, pool_used_high;
};
extern struct device devices[MAX_CARDS];
extern int device_count;

int is_initialised(void);
/* The visible device at this place; NULL where there is none. */
struct device *device_at(CUdevice ordinal);
/* The device of this thread's current context; NULL where there is none. */
struct device *current_device(void);
struct usage *device_usage(const struct device *device);
const struct card *device_card(const struct device *device);
struct device *device_of_pool(void *pool);
/* Gives back what is held on the device, as the end of its context does. */
void forget_allocations(const struct device *device);
/* What a pool has over and above its threshold goes back to the driver when the device's work is waited for. */
void trim_pools(void);
/* The device that holds this address, and where its allocation begins; NULL for the host's memory. */
struct device *device_of_address(const void *address, void **begin, size_t *size);

/* Every entry point begins so: a call before cuInit, or in a fork of an initialised process, is refused. */
#define ENTER() COUNT_CALL(); if (!is_initialised()) return CUDA_ERROR_NOT_INITIALIZED
#define ENTER_CONTEXT(device)                                 \
    ENTER();                                                  \
    struct device *device = current_device();                 \
    if (!device) return CUDA_ERROR_INVALID_CONTEXT;           \
    if (device_card(device)->lost) return CUDA_ERROR_UNKNOWN
#define ENTER_DEVICE(ordinal, device)           \
    ENTER();                                    \
    struct device *device = device_at(ordinal); \
    if (!device) return CUDA_ERROR_INVALID_DEVICE
