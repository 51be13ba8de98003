/* The machine's account: what it has, how it behaves, and which process holds what. layout.py says what is in it. */
#pragma once
#include <stddef.h>
#include "layout.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)

/* The account that TFMEM_STUB_MACHINE names, mapped; NULL where it names none. */
struct machine *account(void);

void account_lock(void);
void account_unlock(void);

/* Below: under the lock. */

/* This process's entry, made at its first use; NULL where the table is full. A fork has its own. */
struct process *account_own(void);
/* Frees the entries of processes that have ended; the driver's accounting remembers their peaks. */
void account_bury(void);
/* What the driver charges to a process for a card: context, allocations in blocks of 2 MiB, what pools reserved. */
uint64_t usage_bytes(const struct usage *usage);
/* What all processes hold on a card, the foreign ones too; without what the driver reserves for itself. */
uint64_t card_used_bytes(unsigned card);
/* Whether `more` bytes fit beside what is held. Buries the dead only if it must. */
int card_has_room(unsigned card, uint64_t more);
void usage_raise_peak(struct usage *usage);

static inline uint64_t rounded_up(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

/* Counts a call of this function, by all processes together. No lock needed. */
void count_call(unsigned *slot, const char *name);
#define COUNT_CALL() do { static unsigned slot; count_call(&slot, __func__); } while (0)
