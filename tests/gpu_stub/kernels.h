#pragma once

/* `name`: mangled, as TensorFlow registers a kernel when it is loaded; `function`: by what it is launched. */
void register_kernel(const void *function, const char *name);
void run_kernel(const void *function, void **arguments);
