#define _GNU_SOURCE
#include "account.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A machine is never unmapped: another thread may be reading it. Tests that use several map a few. */
static struct machine *map_machine(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return NULL;
    struct machine *machine = mmap(NULL, sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (machine == MAP_FAILED) return NULL;
    if (machine->magic != MAGIC || machine->size != sizeof *machine) {
        fprintf(stderr, "tests/gpu_stub: %s is not a machine of this version\n", path);
        munmap(machine, sizeof *machine);
        return NULL;
    }
    return machine;
}

struct machine *account(void) {
    static pthread_mutex_t mapping = PTHREAD_MUTEX_INITIALIZER;
    static struct machine *mapped;
    static char mapped_path[4096];
    const char *path = getenv("TFMEM_STUB_MACHINE");
    if (!path || !*path || strlen(path) >= sizeof mapped_path) return NULL;
    /* The path is looked at in every call, so that one pytest process can have one machine after another. */
    if (mapped && strcmp(path, mapped_path) == 0) return mapped;
    pthread_mutex_lock(&mapping);
    mapped = map_machine(path);
    strcpy(mapped_path, path);
    pthread_mutex_unlock(&mapping);
    return mapped;
}

void account_lock(void) {
    pthread_mutex_t *lock = (pthread_mutex_t *)account()->lock;
    /* Its holder was killed: a change under the lock is a few additions, and the dead one's entry goes anyway. */
    if (pthread_mutex_lock(lock) == EOWNERDEAD) pthread_mutex_consistent(lock);
}

void account_unlock(void) { pthread_mutex_unlock((pthread_mutex_t *)account()->lock); }

/* When the process began, in clock ticks since boot; 0 where there is none, or nothing but its exit status. */
static uint64_t start_time_of(uint32_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    char *after_name = strrchr(text, ')'), state = 0;
    unsigned long long start_time = 0;
    /* Field 22 of proc(5); the name in parentheses is the second. */
    sscanf(after_name + 2, "%c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state,
           &start_time);
    return state == 'Z' || state == 'X' ? 0 : start_time;
}

static struct process *entry_of(uint32_t pid) {
    struct machine *machine = account();
    for (int i = 0; i < MAX_PROCESSES; i++)
        if (machine->processes[i].pid == pid) return &machine->processes[i];
    return NULL;
}

struct process *account_own(void) {
    static struct process *own;
    static struct machine *own_machine;
    static uint32_t own_pid;
    uint32_t pid = getpid();
    if (own && own_machine == account() && own_pid == pid && own->pid == pid) return own;
    uint64_t start_time = start_time_of(pid);
    struct process *entry = entry_of(pid);
    if (entry && entry->start_time != start_time) account_bury(), entry = NULL;
    if (!entry) entry = entry_of(0);
    if (!entry) account_bury(), entry = entry_of(0);
    if (!entry) return NULL;
    entry->pid = pid;
    entry->start_time = start_time;
    own = entry;
    own_machine = account();
    own_pid = pid;
    return own;
}

static void remember_ended(const struct process *process) {
    struct machine *machine = account();
    for (unsigned card = 0; card < machine->card_count; card++) {
        if (!process->usage[card].peak) continue;
        struct ended *ended = &machine->ended[machine->ended_count++ % MAX_ENDED];
        *ended = (struct ended){.peak = process->usage[card].peak, .pid = process->pid, .card = card};
    }
}

void account_bury(void) {
    struct machine *machine = account();
    for (int i = 0; i < MAX_PROCESSES; i++) {
        struct process *process = &machine->processes[i];
        if (!process->pid || start_time_of(process->pid) == process->start_time) continue;
        remember_ended(process);
        memset(process, 0, sizeof *process);
    }
}

uint64_t usage_bytes(const struct usage *usage) {
    return usage->context + rounded_up(usage->allocated, 2 * MIB) + usage->pool_reserved;
}

static uint64_t held_bytes(unsigned card) {
    struct machine *machine = account();
    uint64_t bytes = 0;
    for (int i = 0; i < MAX_PROCESSES; i++)
        if (machine->processes[i].pid) bytes += usage_bytes(&machine->processes[i].usage[card]);
    for (int i = 0; i < MAX_FOREIGN; i++) bytes += machine->cards[card].foreign[i].bytes;
    return bytes;
}

uint64_t card_used_bytes(unsigned card) {
    account_bury();
    return held_bytes(card);
}

int card_has_room(unsigned card, uint64_t more) {
    const struct card *limits = &account()->cards[card];
    if (held_bytes(card) + limits->reserved_bytes + more <= limits->total_bytes) return 1;
    return card_used_bytes(card) + limits->reserved_bytes + more <= limits->total_bytes;
}

void usage_raise_peak(struct usage *usage) {
    uint64_t bytes = usage_bytes(usage);
    if (bytes > usage->peak) usage->peak = bytes;
}

/* Slots count from 1, so that 0 says that the function has none yet. */
static unsigned slot_of(const char *name) {
    struct function *functions = account()->functions;
    unsigned hash = 5381;
    for (const char *letter = name; *letter; letter++) hash = hash * 33 + (unsigned char)*letter;
    for (unsigned step = 0; step < MAX_FUNCTIONS; step++) {
        unsigned slot = (hash + step) % MAX_FUNCTIONS;
        if (!functions[slot].name[0]) strncpy(functions[slot].name, name, sizeof functions[slot].name - 1);
        if (strcmp(functions[slot].name, name) == 0) return slot + 1;
    }
    return 0;
}

void count_call(unsigned *slot, const char *name) {
    struct machine *machine = account();
    if (!machine) return;
    if (!*slot || strcmp(machine->functions[*slot - 1].name, name) != 0) { /* new, or the machine is another one */
        account_lock();
        *slot = slot_of(name);
        account_unlock();
    }
    if (*slot) __atomic_add_fetch(&machine->functions[*slot - 1].calls, 1, __ATOMIC_RELAXED);
}
