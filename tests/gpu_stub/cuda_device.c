/* libcuda: initialisation, and which devices there are. */
#define _GNU_SOURCE
#include "cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct device devices[MAX_CARDS];
int device_count;
static pid_t initialised_in;

/* What CUDA would show if CUDA_VISIBLE_DEVICES said nothing: cards, and of a card in MIG mode its first MIG device. */
static int is_listed(unsigned card) {
    const struct card *cards = account()->cards;
    if (cards[card].parent < 0) return !cards[card].mig_enabled;
    return card == 0 || cards[card - 1].parent != cards[card].parent;
}

static int comes_before(const struct card *left, const struct card *right, int by_bus_id) {
    const struct card *cards = account()->cards;
    if (!by_bus_id && left->compute_major != right->compute_major) return left->compute_major > right->compute_major;
    if (!by_bus_id && left->compute_minor != right->compute_minor) return left->compute_minor > right->compute_minor;
    int by_name = strcmp(left->pci_bus_id, right->pci_bus_id);
    if (by_bus_id && by_name) return by_name < 0;
    return left - cards < right - cards;
}

/* The listed cards in CUDA's order: the fastest first, or with CUDA_DEVICE_ORDER=PCI_BUS_ID as NVML has them. */
static int listed_in_order(unsigned *order) {
    const struct machine *machine = account();
    const char *asked = getenv("CUDA_DEVICE_ORDER");
    int by_bus_id = asked && strcmp(asked, "PCI_BUS_ID") == 0, count = 0;
    for (unsigned card = 0; card < machine->card_count; card++) {
        if (!is_listed(card)) continue;
        int place = count++;
        for (; place && comes_before(&machine->cards[card], &machine->cards[order[place - 1]], by_bus_id); place--)
            order[place] = order[place - 1];
        order[place] = card;
    }
    return count;
}

/* The card that one entry of CUDA_VISIBLE_DEVICES names, by its place or by how its UUID begins; -1 for none. */
static int named_card(const char *name, const unsigned *order, int count) {
    const struct machine *machine = account();
    char *end;
    long place = strtol(name, &end, 10);
    if (*name && !*end) return place >= 0 && place < count ? (int)order[place] : -1;
    if (strncmp(name, "GPU-", 4) && strncmp(name, "MIG-", 4)) return -1;
    int found = -1;
    for (unsigned card = 0; card < machine->card_count; card++) {
        if (machine->cards[card].mig_enabled || strncasecmp(machine->cards[card].uuid, name, strlen(name))) continue;
        if (found >= 0) return -1; /* more than one begins so */
        found = card;
    }
    return found;
}

static int is_visible(int card) {
    for (int i = 0; i < device_count; i++)
        if (devices[i].card == (unsigned)card) return 1;
    return 0;
}

/* As CUDA reads it: up to the first entry that names no card, or one that was named already. */
static void choose_devices(void) {
    unsigned order[MAX_CARDS];
    int count = listed_in_order(order);
    const char *asked = getenv("CUDA_VISIBLE_DEVICES");
    device_count = 0;
    if (!asked) {
        for (int i = 0; i < count; i++) devices[device_count++].card = order[i];
        return;
    }
    char *names = strdup(asked), *rest = names, *name;
    while ((name = strsep(&rest, ",")) && device_count < MAX_CARDS) {
        while (*name == ' ') name++;
        name[strcspn(name, " ")] = 0;
        int card = named_card(name, order, count);
        if (card < 0 || is_visible(card)) break;
        devices[device_count++].card = card;
        if (account()->cards[card].parent >= 0) break; /* CUDA uses one MIG device at the most */
    }
    free(names);
}

int is_initialised(void) { return initialised_in == getpid() && account(); }

CUresult cuInit(unsigned flags) {
    COUNT_CALL();
    struct machine *machine = account();
    if (!machine) return CUDA_ERROR_NO_DEVICE;
    if (machine->cuda_init_error) return machine->cuda_init_error;
    if (initialised_in && initialised_in != getpid()) return CUDA_ERROR_NOT_INITIALIZED;
    account_lock();
    if (!initialised_in) choose_devices();
    if (device_count) initialised_in = getpid();
    account_unlock();
    return device_count ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version) {
    COUNT_CALL();
    *version = account() ? (int)account()->cuda_driver_version : 0;
    return CUDA_SUCCESS;
}

struct device *device_at(CUdevice ordinal) {
    return ordinal >= 0 && ordinal < device_count ? &devices[ordinal] : NULL;
}
const struct card *device_card(const struct device *device) { return &account()->cards[device->card]; }

CUresult cuDeviceGetCount(int *count) {
    ENTER();
    *count = device_count;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *found, int ordinal) {
    ENTER_DEVICE(ordinal, device);
    *found = device - devices;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    snprintf(name, size, "%s", device_card(device)->name);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    *bytes = device_card(device)->total_bytes;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    snprintf(id, size, "%s", device_card(device)->pci_bus_id);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(unsigned char *uuid, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    const char *digits = device_card(device)->uuid + 4; /* after "GPU-" or "MIG-" */
    for (int i = 0; i < 16; i++) {
        unsigned byte = 0;
        if (*digits == '-') digits++;
        sscanf(digits, "%2x", &byte);
        uuid[i] = byte;
        digits += 2;
    }
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(unsigned char *uuid, CUdevice ordinal) { return cuDeviceGetUuid_v2(uuid, ordinal); }

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    *major = device_card(device)->compute_major;
    *minor = device_card(device)->compute_minor;
    return CUDA_SUCCESS;
}

/* An A100's, by the numbers of CUdevice_attribute; what is not here is 0. */
static const int attributes[][2] = {
    {1, 1024},     {2, 1024},     {3, 1024},      {4, 64},         {5, 2147483647}, {6, 65535}, {7, 65535},
    {8, 49152},    {10, 32},      {12, 65536},    {13, 1410000},   {16, 108},       {36, 1215000}, {37, 5120},
    {38, 41943040}, {39, 2048},   {41, 1},        {81, 167936},    {82, 65536},     {97, 166912}, {106, 32},
};

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice ordinal) {
    ENTER_DEVICE(ordinal, device);
    const struct card *card = device_card(device);
    unsigned bus = 0, slot = 0, domain = 0;
    sscanf(card->pci_bus_id, "%x:%x:%x", &domain, &bus, &slot);
    *value = 0;
    if (attribute == 33) *value = bus;
    if (attribute == 34) *value = slot;
    if (attribute == 50) *value = domain;
    if (attribute == 75) *value = card->compute_major;
    if (attribute == 76) *value = card->compute_minor;
    if (attribute == 115) *value = card->has_pools;
    for (unsigned i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (attributes[i][0] == attribute) *value = attributes[i][1];
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice one, CUdevice other) {
    ENTER();
    *can = 0;
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "an error of the stand-in driver";
    return CUDA_SUCCESS;
}

/* The newest of the versions of a function that this library has. */
CUresult cuGetProcAddress(const char *name, void **address, int version, uint64_t flags) {
    char versioned[128];
    *address = NULL;
    for (int suffix = 3; suffix > 0 && !*address; suffix--) {
        snprintf(versioned, sizeof versioned, suffix > 1 ? "%s_v%d" : "%s", name, suffix);
        *address = dlsym(RTLD_DEFAULT, versioned);
    }
    return *address ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
