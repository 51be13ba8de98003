/* libnvidia-ml: initialisation, the driver, and which cards there are. */
#include "nvml.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int initialised;

static int driver_is_lost(void) {
    struct machine *machine = account();
    if (machine->nvml_lost) return 1;
    if (machine->nvml_calls_left == ENDLESS) return 0;
    if (machine->nvml_calls_left == 0) return 1;
    __atomic_sub_fetch(&machine->nvml_calls_left, 1, __ATOMIC_RELAXED);
    return 0;
}

nvmlReturn nvml_state(void) {
    if (!account()) return NVML_ERROR_DRIVER_NOT_LOADED;
    if (driver_is_lost()) return NVML_ERROR_GPU_IS_LOST;
    return initialised ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

nvmlReturn card_state(const struct card *card) {
    const struct card *cards = account()->cards;
    if (card < cards || card >= cards + account()->card_count) return NVML_ERROR_INVALID_ARGUMENT;
    return card->lost ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

nvmlReturn write_text(char *to, unsigned size, const char *text) {
    if (strlen(text) >= size) return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, text);
    return NVML_SUCCESS;
}

nvmlReturn nvmlInitWithFlags(unsigned flags) {
    COUNT_CALL();
    if (!account()) return NVML_ERROR_DRIVER_NOT_LOADED;
    if (account()->nvml_init_error) return account()->nvml_init_error;
    if (driver_is_lost()) return NVML_ERROR_GPU_IS_LOST;
    __atomic_add_fetch(&initialised, 1, __ATOMIC_RELAXED);
    return NVML_SUCCESS;
}

nvmlReturn nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
nvmlReturn nvmlInit(void) { return nvmlInitWithFlags(0); }

nvmlReturn nvmlShutdown(void) {
    COUNT_CALL();
    if (!initialised) return NVML_ERROR_UNINITIALIZED;
    __atomic_sub_fetch(&initialised, 1, __ATOMIC_RELAXED);
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn error) {
    switch (error) {
    case NVML_SUCCESS: return "Success";
    case NVML_ERROR_UNINITIALIZED: return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT: return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED: return "Not Supported";
    case NVML_ERROR_NO_PERMISSION: return "Insufficient Permissions";
    case NVML_ERROR_NOT_FOUND: return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE: return "Insufficient Size";
    case NVML_ERROR_DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case NVML_ERROR_GPU_IS_LOST: return "GPU is lost";
    case NVML_ERROR_ARGUMENT_VERSION_MISMATCH: return "Argument version mismatch";
    default: return "Unknown Error";
    }
}

nvmlReturn nvmlSystemGetDriverVersion(char *text, unsigned size) {
    ENTER();
    return write_text(text, size, account()->driver_version);
}

nvmlReturn nvmlSystemGetNVMLVersion(char *text, unsigned size) {
    ENTER();
    char version[96];
    snprintf(version, sizeof version, "%u.%s", account()->cuda_driver_version / 1000, account()->driver_version);
    return write_text(text, size, version);
}

nvmlReturn nvmlSystemGetCudaDriverVersion(int *version) {
    ENTER();
    *version = account()->cuda_driver_version;
    return NVML_SUCCESS;
}

nvmlReturn nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

static struct card *card_at(unsigned index) {
    struct machine *machine = account();
    for (unsigned i = 0; i < machine->card_count; i++)
        if (!is_mig_device(&machine->cards[i]) && index-- == 0) return &machine->cards[i];
    return NULL;
}

nvmlReturn nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER();
    for (*count = 0; card_at(*count); ++*count);
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetCount(unsigned *count) { return nvmlDeviceGetCount_v2(count); }

nvmlReturn nvmlDeviceGetHandleByIndex_v2(unsigned index, struct card **card) {
    ENTER();
    *card = card_at(index);
    return *card ? card_state(*card) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn nvmlDeviceGetHandleByIndex(unsigned index, struct card **card) {
    return nvmlDeviceGetHandleByIndex_v2(index, card);
}

nvmlReturn nvmlDeviceGetHandleByUUID(const char *uuid, struct card **card) {
    ENTER();
    struct machine *machine = account();
    for (unsigned i = 0; i < machine->card_count; i++) {
        if (strcasecmp(machine->cards[i].uuid, uuid)) continue;
        *card = &machine->cards[i];
        return card_state(*card);
    }
    return NVML_ERROR_NOT_FOUND;
}

static int is_at(const struct card *card, unsigned domain, unsigned bus, unsigned slot) {
    unsigned its_domain, its_bus, its_slot;
    sscanf(card->pci_bus_id, "%x:%x:%x", &its_domain, &its_bus, &its_slot);
    return domain == its_domain && bus == its_bus && slot == its_slot;
}

/* "0000:01:00.0" and "00000000:01:00.0" are the same place; the domain may be left out. */
nvmlReturn nvmlDeviceGetHandleByPciBusId_v2(const char *id, struct card **card) {
    ENTER();
    unsigned domain = 0, bus, slot;
    if (sscanf(id, "%x:%x:%x", &domain, &bus, &slot) != 3) {
        domain = 0;
        if (sscanf(id, "%x:%x", &bus, &slot) != 2) return NVML_ERROR_INVALID_ARGUMENT;
    }
    for (unsigned index = 0; (*card = card_at(index)); index++)
        if (is_at(*card, domain, bus, slot)) return card_state(*card);
    return NVML_ERROR_NOT_FOUND;
}

nvmlReturn nvmlDeviceGetHandleByPciBusId(const char *id, struct card **card) {
    return nvmlDeviceGetHandleByPciBusId_v2(id, card);
}

nvmlReturn nvmlDeviceGetIndex(const struct card *card, unsigned *index) {
    ENTER_CARD(card);
    if (is_mig_device(card)) return NVML_ERROR_NOT_SUPPORTED;
    for (*index = 0; card_at(*index) != card; ++*index);
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetUUID(const struct card *card, char *text, unsigned size) {
    ENTER_CARD(card);
    return write_text(text, size, card->uuid);
}

nvmlReturn nvmlDeviceGetName(const struct card *card, char *text, unsigned size) {
    ENTER_CARD(card);
    return write_text(text, size, card->name);
}

struct pci_info {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

nvmlReturn nvmlDeviceGetPciInfo_v3(const struct card *card, struct pci_info *info) {
    ENTER_CARD(card);
    memset(info, 0, sizeof *info);
    sscanf(card->pci_bus_id, "%x:%x:%x", &info->domain, &info->bus, &info->device);
    unsigned domain = info->domain, bus = info->bus, slot = info->device;
    snprintf(info->bus_id_legacy, sizeof info->bus_id_legacy, "%04X:%02X:%02X.0", domain, bus, slot);
    snprintf(info->bus_id, sizeof info->bus_id, "%08X:%02X:%02X.0", domain, bus, slot);
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetCudaComputeCapability(const struct card *card, int *major, int *minor) {
    ENTER_CARD(card);
    *major = card->compute_major;
    *minor = card->compute_minor;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetPersistenceMode(const struct card *card, unsigned *mode) {
    ENTER_CARD(card);
    *mode = 1;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetVirtualizationMode(const struct card *card, unsigned *mode) {
    ENTER_CARD(card);
    *mode = 0;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetCurrPcieLinkGeneration(const struct card *card, unsigned *generation) {
    ENTER_CARD(card);
    *generation = 4;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetCurrPcieLinkWidth(const struct card *card, unsigned *width) {
    ENTER_CARD(card);
    *width = 16;
    return NVML_SUCCESS;
}

/* TensorFlow asks how cards are linked to each other: they are not. */
#define NOT_SUPPORTED(name)                     \
    nvmlReturn name(const struct card *card) {  \
        ENTER_CARD(card);                       \
        return NVML_ERROR_NOT_SUPPORTED;        \
    }
NOT_SUPPORTED(nvmlDeviceGetGpuFabricInfoV)
NOT_SUPPORTED(nvmlDeviceGetNvLinkCapability)
NOT_SUPPORTED(nvmlDeviceGetNvLinkState)

/* MIG: a card in that mode, and its devices. */
nvmlReturn nvmlDeviceGetMigMode(const struct card *card, unsigned *current, unsigned *pending) {
    ENTER_CARD(card);
    if (is_mig_device(card) || card->compute_major < 8) return NVML_ERROR_NOT_SUPPORTED;
    *current = *pending = card->mig_enabled;
    return NVML_SUCCESS;
}

static struct card *mig_device_at(const struct card *card, unsigned index) {
    struct machine *machine = account();
    for (unsigned i = 0; i < machine->card_count; i++)
        if (machine->cards[i].parent == (int)card_index(card) && index-- == 0) return &machine->cards[i];
    return NULL;
}

nvmlReturn nvmlDeviceGetMaxMigDeviceCount(const struct card *card, unsigned *count) {
    ENTER_CARD(card);
    *count = card->mig_enabled ? 7 : 0;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetMigDeviceHandleByIndex(const struct card *card, unsigned index, struct card **found) {
    ENTER_CARD(card);
    if (!card->mig_enabled) return NVML_ERROR_NOT_SUPPORTED;
    *found = mig_device_at(card, index);
    return *found ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

nvmlReturn nvmlDeviceIsMigDeviceHandle(const struct card *card, unsigned *is_one) {
    ENTER_CARD(card);
    *is_one = is_mig_device(card);
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(const struct card *card, struct card **parent) {
    ENTER_CARD(card);
    if (!is_mig_device(card)) return NVML_ERROR_INVALID_ARGUMENT;
    *parent = &account()->cards[card->parent];
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetGpuInstanceId(const struct card *card, unsigned *instance) {
    ENTER_CARD(card);
    if (!is_mig_device(card)) return NVML_ERROR_NOT_SUPPORTED;
    *instance = card->instance;
    return NVML_SUCCESS;
}
