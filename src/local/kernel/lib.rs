//! What every local service stands on: calls, wire formats, clock, bus, state.
