//! Starts exactly the ECS tasks that SQS queues need. One invocation is one tick:
//!
//! ```text
//!  event ──► config ──► observe ──────► decide ──────► act ──────► report
//!  what      workers,   queue depth     demand         revision    result JSON,
//!  woke us   checked    tasks alive     packing        RunTask     a log line a worker
//!                       definition      size
//!            └─ input, no change ──┘    └─ pure ─┘     └ change ┘
//! ```
//!
//! What is pure (event, config, snapshot, plan, decide) is the crate `decision`; this one is the shell
//! around it. A module uses only those above it:

pub mod log; // what may be logged
pub mod aws; // the edge: `ReadCloud`, `WriteCloud`
pub mod source; // where the configuration comes from, and which one is in force
pub mod ledger; // what this process remembers of earlier ticks
pub mod observe; // reads what a decision needs, through `aws::ReadCloud`
pub mod act; // carries a plan out, through `aws::WriteCloud`
pub mod report; // what happened
pub mod run; // the sentence
#[cfg(feature = "cli")]
pub mod cli; // the same for a person at a terminal
