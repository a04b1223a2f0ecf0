//! The macros of the generated L1 tables.
