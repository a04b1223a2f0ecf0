//! The program from outside: one module per command, one binary for all.
