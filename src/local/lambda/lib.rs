//! Lambda of the local cloud: functions as local processes.
