//! Tests; see the files beside.
