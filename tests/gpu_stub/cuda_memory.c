/* libcuda: memory. A device's memory is the host's; what is held is told to the account. */
#define _GNU_SOURCE
#include "cuda.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* cuMemAlloc aligns to 512 bytes, and so does a pool; a pool grows by blocks of 32 MiB. */
enum { ALIGNMENT = 512, POOL_BLOCK = 32 << 20, PAGE = 4096 };

struct allocation {
    char *address; /* NULL: a free place in the table; TOMBSTONE: one that was used */
    size_t requested;
    struct device *device;
    int of_pool;
};
#define TOMBSTONE ((char *)1)

static struct allocation *table;
static size_t table_size, table_used;
static uint64_t allocations_made;

static struct allocation *place_of(const char *address, int for_new) {
    for (size_t step = ((uintptr_t)address / ALIGNMENT) * 0x9E3779B97F4A7C15ULL;; step++) {
        struct allocation *place = &table[step % table_size];
        if (place->address == address || (for_new && (!place->address || place->address == TOMBSTONE))) return place;
        if (!place->address) return NULL;
    }
}

static void grow_table(void) {
    struct allocation *old = table;
    size_t old_size = table_size;
    table_size = old_size ? old_size * 2 : 1024;
    table = calloc(table_size, sizeof *table);
    table_used = 0;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].address > TOMBSTONE) *place_of(old[i].address, 1) = old[i], table_used++;
    free(old);
}

static void remember(struct allocation allocation) {
    if (table_used * 2 >= table_size) grow_table();
    struct allocation *place = place_of(allocation.address, 1);
    table_used += !place->address;
    *place = allocation;
}

/* Pages that read as zeros and cost nothing until they are touched, as a fresh region of BFC's is. */
static char *map_bytes(size_t requested) {
    void *address = mmap(NULL, rounded_up(requested, PAGE), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return address == MAP_FAILED ? NULL : address;
}

/* Small ones are packed, so that a million tensors are not a million mappings. */
static char *host_bytes(size_t requested) {
    if (requested > 64 * KIB) return map_bytes(requested);
    char *address = aligned_alloc(ALIGNMENT, rounded_up(requested, ALIGNMENT));
    return address ? memset(address, 0, requested) : NULL;
}

static void free_host_bytes(char *address, size_t requested) {
    if (requested > 64 * KIB) munmap(address, rounded_up(requested, PAGE));
    else free(address);
}

/* What the driver would charge more for this allocation: whole blocks, none where one has room yet. */
static uint64_t growth_bytes(const struct usage *usage, uint64_t charged, int of_pool) {
    if (!of_pool) return rounded_up(usage->allocated + charged, 2 * MIB) - rounded_up(usage->allocated, 2 * MIB);
    uint64_t needed = usage->pool_used + charged;
    return needed > usage->pool_reserved ? rounded_up(needed - usage->pool_reserved, POOL_BLOCK) : 0;
}

static void charge(struct device *device, struct usage *usage, size_t requested, int of_pool) {
    uint64_t charged = rounded_up(requested, ALIGNMENT);
    usage->requested += requested;
    usage->allocations++;
    if (of_pool) {
        usage->pool_reserved += growth_bytes(usage, charged, 1);
        usage->pool_used += charged;
        if (usage->pool_used > device->pool_used_high) device->pool_used_high = usage->pool_used;
        if (usage->pool_reserved > device->pool_reserved_high) device->pool_reserved_high = usage->pool_reserved;
    } else {
        usage->allocated += charged;
    }
    usage_raise_peak(usage);
}

static CUresult allocate(struct device *device, void **address, size_t requested, int of_pool) {
    struct usage *usage = device_usage(device);
    if (!requested) return CUDA_ERROR_INVALID_VALUE;
    if (++allocations_made == account()->failing_allocation || !usage) return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t more = growth_bytes(usage, rounded_up(requested, ALIGNMENT), of_pool);
    if (!card_has_room(device->card, more)) return CUDA_ERROR_OUT_OF_MEMORY;
    *address = host_bytes(requested);
    if (!*address) return CUDA_ERROR_OUT_OF_MEMORY;
    charge(device, usage, requested, of_pool);
    remember((struct allocation){.address = *address, .requested = requested, .device = device, .of_pool = of_pool});
    return CUDA_SUCCESS;
}

static void give_back(struct allocation *allocation) {
    struct usage *usage = device_usage(allocation->device);
    uint64_t charged = rounded_up(allocation->requested, ALIGNMENT);
    usage->requested -= allocation->requested;
    *(allocation->of_pool ? &usage->pool_used : &usage->allocated) -= charged;
    free_host_bytes(allocation->address, allocation->requested);
    allocation->address = TOMBSTONE;
}

static CUresult locked_allocate(struct device *device, void **address, size_t requested, int of_pool) {
    if (device_card(device)->lost) return CUDA_ERROR_UNKNOWN;
    account_lock();
    CUresult result = allocate(device, address, requested, of_pool);
    account_unlock();
    return result;
}

static CUresult locked_give_back(char *address) {
    if (!address) return CUDA_SUCCESS;
    account_lock();
    struct allocation *allocation = table ? place_of(address, 0) : NULL;
    if (allocation) give_back(allocation);
    account_unlock();
    return allocation ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void forget_allocations(const struct device *device) {
    for (size_t i = 0; i < table_size; i++)
        if (table[i].address > TOMBSTONE && table[i].device == device) give_back(&table[i]);
    struct usage *usage = device_usage(device);
    if (usage) usage->pool_reserved = 0;
}

struct device *device_of_address(const void *address, void **begin, size_t *size) {
    for (size_t i = 0; i < table_size; i++) {
        const struct allocation *it = &table[i];
        if (it->address <= TOMBSTONE || (const char *)address < it->address) continue;
        if ((const char *)address >= it->address + it->requested) continue;
        *begin = it->address;
        *size = it->requested;
        return it->device;
    }
    return NULL;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    ENTER_CONTEXT(device);
    const struct card *card = device_card(device);
    account_lock();
    uint64_t taken = card_used_bytes(device->card) + card->reserved_bytes;
    account_unlock();
    *total_bytes = card->total_bytes;
    *free_bytes = taken < card->total_bytes ? card->total_bytes - taken : 0;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(void **address, size_t requested) {
    ENTER_CONTEXT(device);
    return locked_allocate(device, address, requested, 0);
}

CUresult cuMemAllocManaged(void **address, size_t requested, unsigned flags) {
    ENTER_CONTEXT(device);
    return locked_allocate(device, address, requested, 0);
}

CUresult cuMemFree_v2(char *address) {
    ENTER();
    return locked_give_back(address);
}

CUresult cuMemAllocFromPoolAsync(void **address, size_t requested, void *pool, void *stream) {
    ENTER();
    struct device *device = device_of_pool(pool);
    return device ? locked_allocate(device, address, requested, 1) : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuMemAllocAsync(void **address, size_t requested, void *stream) {
    ENTER_CONTEXT(device);
    return locked_allocate(device, address, requested, 1);
}

CUresult cuMemFreeAsync(char *address, void *stream) {
    ENTER();
    return locked_give_back(address);
}

/* Pools: every pool of a device is its default one. Its handle is the address of the device's threshold. */
struct device *device_of_pool(void *pool) {
    for (int i = 0; i < device_count; i++)
        if (pool == &devices[i].pool_threshold) return &devices[i];
    return NULL;
}

CUresult cuDeviceGetDefaultMemPool(void **pool, CUdevice ordinal) {
    ENTER();
    if (ordinal < 0 || ordinal >= device_count) return CUDA_ERROR_INVALID_DEVICE;
    if (!device_card(&devices[ordinal])->has_pools) return CUDA_ERROR_NOT_SUPPORTED;
    *pool = &devices[ordinal].pool_threshold;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(void **pool, CUdevice ordinal) { return cuDeviceGetDefaultMemPool(pool, ordinal); }

/* CUmemPoolProps: allocation type, handle type, location type, and the device's number. */
CUresult cuMemPoolCreate(void **pool, const int *properties) { return cuDeviceGetDefaultMemPool(pool, properties[3]); }

enum { RELEASE_THRESHOLD = 4, RESERVED_CURRENT, RESERVED_HIGH, USED_CURRENT, USED_HIGH };

CUresult cuMemPoolGetAttribute(void *pool, int attribute, void *value) {
    ENTER();
    struct device *device = device_of_pool(pool);
    if (!device) return CUDA_ERROR_INVALID_HANDLE;
    account_lock();
    const struct usage *usage = device_usage(device);
    uint64_t current = attribute == RESERVED_CURRENT ? usage->pool_reserved : usage->pool_used;
    if (attribute < RELEASE_THRESHOLD) *(int *)value = 1; /* the three kinds of reuse are allowed */
    else if (attribute == RELEASE_THRESHOLD) *(uint64_t *)value = device->pool_threshold;
    else if (attribute == RESERVED_HIGH) *(uint64_t *)value = device->pool_reserved_high;
    else if (attribute == USED_HIGH) *(uint64_t *)value = device->pool_used_high;
    else *(uint64_t *)value = current;
    account_unlock();
    return attribute > USED_HIGH ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(void *pool, int attribute, const uint64_t *value) {
    ENTER();
    struct device *device = device_of_pool(pool);
    if (!device) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute < RELEASE_THRESHOLD) return CUDA_SUCCESS;
    if (attribute == RESERVED_CURRENT || attribute == USED_CURRENT) return CUDA_ERROR_INVALID_VALUE;
    if (attribute > USED_HIGH) return CUDA_ERROR_INVALID_VALUE;
    if (attribute != RELEASE_THRESHOLD && *value) return CUDA_ERROR_INVALID_VALUE; /* a mark can only be reset */
    account_lock();
    const struct usage *usage = device_usage(device);
    if (attribute == RELEASE_THRESHOLD) device->pool_threshold = *value;
    if (attribute == RESERVED_HIGH) device->pool_reserved_high = usage->pool_reserved;
    if (attribute == USED_HIGH) device->pool_used_high = usage->pool_used;
    account_unlock();
    return CUDA_SUCCESS;
}

static void trim(const struct device *device, uint64_t to_keep) {
    struct usage *usage = device_usage(device);
    uint64_t least = rounded_up(usage->pool_used > to_keep ? usage->pool_used : to_keep, POOL_BLOCK);
    if (usage && usage->pool_reserved > least && least >= usage->pool_used) usage->pool_reserved = least;
}

CUresult cuMemPoolTrimTo(void *pool, size_t to_keep) {
    ENTER();
    struct device *device = device_of_pool(pool);
    if (!device) return CUDA_ERROR_INVALID_HANDLE;
    account_lock();
    trim(device, to_keep);
    account_unlock();
    return CUDA_SUCCESS;
}

void trim_pools(void) {
    struct device *device = current_device();
    if (!device || device->pool_threshold == ENDLESS) return;
    account_lock();
    trim(device, device->pool_threshold);
    account_unlock();
}

CUresult cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    ENTER();
    *address = aligned_alloc(PAGE, rounded_up(size, PAGE));
    return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemAllocHost_v2(void **address, size_t size) { return cuMemHostAlloc(address, size, 0); }

CUresult cuMemFreeHost(void *address) {
    ENTER();
    free(address);
    return CUDA_SUCCESS;
}
