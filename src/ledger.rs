//! What this process remembers of earlier ticks: the lock around [`Memory`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use decision::memory::Memory;

/// The memory of a process. A panic in one tick leaves what the others have left in it.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Memory>);

impl Ledger {
    /// The memory, for as long as the guard lives: not across an `await`.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
