/* libnvidia-ml: what a card's memory holds, and whose it is. */
#include "nvml.h"

#include <stdio.h>
#include <string.h>

struct memory {
    unsigned long long total, free, used;
};

struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
enum { MEMORY_V2 = sizeof(struct memory_v2) | 2 << 24 };

static nvmlReturn read_memory(const struct card *card, struct memory_v2 *memory) {
    if (!card->has_memory_info || card->mig_enabled) return NVML_ERROR_NOT_SUPPORTED;
    account_lock();
    memory->used = card_used_bytes(card_index(card));
    account_unlock();
    memory->total = card->total_bytes;
    memory->reserved = card->reserved_bytes;
    memory->free = memory->total - memory->reserved - memory->used;
    return NVML_SUCCESS;
}

/* Since R510 the first version counts what the driver reserves as used. */
nvmlReturn nvmlDeviceGetMemoryInfo(const struct card *card, struct memory *memory) {
    ENTER_CARD(card);
    struct memory_v2 now;
    nvmlReturn result = read_memory(card, &now);
    if (result == NVML_SUCCESS)
        *memory = (struct memory){.total = now.total, .free = now.free, .used = now.used + now.reserved};
    return result;
}

nvmlReturn nvmlDeviceGetMemoryInfo_v2(const struct card *card, struct memory_v2 *memory) {
    ENTER_CARD(card);
    if (memory->version != MEMORY_V2) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    return read_memory(card, memory);
}

/* Of nvmlProcessInfo_t in its second and third version, which are the same. */
struct process_info {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};
enum { MAX_LISTED = MAX_PROCESSES + MAX_FOREIGN };
static const unsigned NO_INSTANCE = 0xFFFFFFFF;

/* The processes' numbers as the caller is told them. */
static unsigned told_pid(unsigned pid) {
    const struct machine *machine = account();
    if (machine->process_list == PROCESS_LIST_HOST) return pid + machine->host_pid_offset;
    return pid;
}

static struct process_info told(const struct card *card, unsigned pid, uint64_t used) {
    unsigned list = account()->process_list;
    struct process_info info = {.pid = pid, .used = used, .gpu_instance = NO_INSTANCE, .compute_instance = NO_INSTANCE};
    if (is_mig_device(card)) info.gpu_instance = card->instance, info.compute_instance = 0;
    if (list == PROCESS_LIST_ZERO) info.used = 0;
    if (list == PROCESS_LIST_UNAVAILABLE) info.used = ENDLESS;
    /* R535.54's struct had two more words than its callers': numbers stand in each other's places. */
    if (list == PROCESS_LIST_SCRAMBLED) info.pid = (unsigned)used, info.used = (uint64_t)pid << 32 | NO_INSTANCE;
    return info;
}

static unsigned list_processes(const struct card *card, int graphics, struct process_info *list) {
    const struct machine *machine = account();
    unsigned count = 0;
    account_lock();
    account_bury();
    for (int i = 0; i < MAX_PROCESSES && !graphics; i++) {
        uint64_t used = usage_bytes(&machine->processes[i].usage[card_index(card)]);
        if (machine->processes[i].pid && used) list[count++] = told(card, told_pid(machine->processes[i].pid), used);
    }
    account_unlock();
    for (int i = 0; i < MAX_FOREIGN; i++) {
        const struct foreign *foreign = &card->foreign[i];
        if (!foreign->pid || !foreign->is_graphics != !graphics) continue;
        list[count++] = told(card, foreign->pid, foreign->bytes);
    }
    return count;
}

static nvmlReturn read_processes(const struct card *card, int graphics, unsigned *room, struct process_info *infos) {
    struct process_info list[MAX_LISTED];
    /* On a card in MIG mode, to see the processes of all its devices is a privilege. */
    if (account()->process_list == PROCESS_LIST_NO_PERMISSION || card->mig_enabled) return NVML_ERROR_NO_PERMISSION;
    unsigned count = list_processes(card, graphics, list), had_room = *room;
    *room = count;
    if (count > had_room || (count && !infos)) return NVML_ERROR_INSUFFICIENT_SIZE;
    if (count) memcpy(infos, list, count * sizeof *list);
    return NVML_SUCCESS;
}

#define LIST(name, graphics)                                                                       \
    nvmlReturn name(const struct card *card, unsigned *room, struct process_info *infos) {         \
        ENTER_CARD(card);                                                                          \
        return read_processes(card, graphics, room, infos);                                        \
    }
LIST(nvmlDeviceGetComputeRunningProcesses_v3, 0)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, 0)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, 1)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, 1)

/* Nobody shares a card by MPS here. */
nvmlReturn nvmlDeviceGetMPSComputeRunningProcesses_v3(const struct card *card, unsigned *room, void *infos) {
    ENTER_CARD(card);
    *room = 0;
    return NVML_SUCCESS;
}

static const char *foreign_name(unsigned pid) {
    const struct machine *machine = account();
    for (unsigned card = 0; card < machine->card_count; card++)
        for (int i = 0; i < MAX_FOREIGN; i++)
            if (machine->cards[card].foreign[i].pid == pid) return machine->cards[card].foreign[i].name;
    return NULL;
}

nvmlReturn nvmlSystemGetProcessName(unsigned pid, char *name, unsigned size) {
    ENTER();
    const char *foreign = foreign_name(pid);
    char path[64], read_name[256] = "";
    if (foreign) return write_text(name, size, foreign);
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    FILE *file = fopen(path, "r");
    if (!file) return NVML_ERROR_NOT_FOUND;
    if (!fgets(read_name, sizeof read_name, file)) read_name[0] = 0;
    fclose(file);
    read_name[strcspn(read_name, "\n")] = 0;
    return write_text(name, size, read_name);
}

/* Accounting: the high-water mark of each process since it began, also of the last ones that have ended. */
struct accounting_stats {
    unsigned gpu_utilization, memory_utilization;
    unsigned long long max_memory_usage, time, start_time;
    unsigned is_running, reserved[5];
};

static nvmlReturn accounting_state(const struct card *card) {
    if (card->mig_enabled || is_mig_device(card)) return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

nvmlReturn nvmlDeviceGetAccountingMode(const struct card *card, unsigned *mode) {
    ENTER_CARD(card);
    *mode = account()->accounting;
    return accounting_state(card);
}

nvmlReturn nvmlDeviceGetAccountingBufferSize(const struct card *card, unsigned *size) {
    ENTER_CARD(card);
    *size = MAX_PROCESSES + MAX_ENDED;
    return accounting_state(card);
}

static const struct usage *living(const struct card *card, unsigned pid) {
    const struct machine *machine = account();
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const struct usage *usage = &machine->processes[i].usage[card_index(card)];
        if (machine->processes[i].pid && told_pid(machine->processes[i].pid) == pid && usage->peak) return usage;
    }
    return NULL;
}

/* The latest of this number. Inside a namespace of process ids the driver hides those that have ended. */
static const struct ended *dead(const struct card *card, unsigned pid) {
    const struct machine *machine = account();
    const struct ended *found = NULL;
    for (unsigned i = 0; i < machine->ended_count && i < MAX_ENDED && !machine->accounting_is_blind; i++) {
        const struct ended *ended = &machine->ended[(machine->ended_count - 1 - i) % MAX_ENDED];
        if (!found && told_pid(ended->pid) == pid && ended->card == card_index(card)) found = ended;
    }
    return found;
}

nvmlReturn nvmlDeviceGetAccountingStats(const struct card *card, unsigned pid, struct accounting_stats *stats) {
    ENTER_CARD(card);
    const struct machine *machine = account();
    if (accounting_state(card) || !machine->accounting) return NVML_ERROR_NOT_SUPPORTED;
    account_lock();
    account_bury();
    const struct usage *usage = living(card, pid);
    const struct ended *ended = usage ? NULL : dead(card, pid);
    memset(stats, 0, sizeof *stats);
    stats->is_running = usage != NULL;
    if (usage || ended) stats->max_memory_usage = usage ? usage->peak : ended->peak;
    if (machine->accounting_is_blind) stats->max_memory_usage = 0;
    account_unlock();
    return usage || ended ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

static unsigned accounting_pids(const struct card *card, unsigned *pids) {
    const struct machine *machine = account();
    unsigned count = 0;
    account_lock();
    account_bury();
    for (int i = 0; i < MAX_PROCESSES; i++)
        if (machine->processes[i].usage[card_index(card)].peak) pids[count++] = told_pid(machine->processes[i].pid);
    for (unsigned i = 0; i < machine->ended_count && i < MAX_ENDED && !machine->accounting_is_blind; i++)
        if (machine->ended[i].card == card_index(card)) pids[count++] = told_pid(machine->ended[i].pid);
    account_unlock();
    return count;
}

nvmlReturn nvmlDeviceGetAccountingPids(const struct card *card, unsigned *room, unsigned *pids) {
    ENTER_CARD(card);
    unsigned found[MAX_PROCESSES + MAX_ENDED], had_room = *room;
    if (accounting_state(card) || !account()->accounting) return NVML_ERROR_NOT_SUPPORTED;
    *room = accounting_pids(card, found);
    if (*room > had_room) return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(pids, found, *room * sizeof *pids);
    return NVML_SUCCESS;
}
