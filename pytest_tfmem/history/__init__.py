"""Earlier runs: recorded, kept, joined into series, each under the conditions that a reading depends on."""
