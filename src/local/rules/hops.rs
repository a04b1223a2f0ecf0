//! How often a message was published on by rules.
//!
//! Two rules that republish into each other's filters would never end. A message
//! has no place for a counter, but it reaches the listeners on the task that
//! publishes it: so the count stands beside the task while it publishes.
//!
//! A loop over other services (a function that publishes, a shadow that is kept on
//! disk) is not seen here; the bounded queue of the engine slows that one down.

use std::cell::Cell;

/// Publishes a message that has been through `count` rules.
pub fn publishing<T>(count: u32, publish: impl FnOnce() -> T) -> T {
    let before = COUNT.replace(count);
    let _restore = Restore(before);
    publish()
}

/// Through how many rules the message went that is being published on this thread.
pub fn current() -> u32 {
    COUNT.get()
}

struct Restore(u32);

impl Drop for Restore {
    fn drop(&mut self) {
        COUNT.set(self.0);
    }
}

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(0) };
}
