"""Names of TensorFlow's GPU allocators, as users write them: what pytest loads with this plugin needs them too."""

from __future__ import annotations

from typing import Literal, get_args

Allocator = Literal["cuda_malloc_async", "growth", "bfc", "cuda_malloc"]

ALLOCATORS: tuple[Allocator, ...] = get_args(Allocator)
FIXTURE = "_tfmem_allocator"  # by which a list of allocators parametrises a test
