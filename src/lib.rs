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
//! The modules in the order of the pipeline:

pub mod run; // the sentence

pub mod event; // what woke us
pub mod config; // what the operator asked for
pub mod observe; // reads, through `aws::ReadCloud`
pub mod snapshot; // the world as read once
pub mod decide; // (&Config, &Snapshot) -> Plan
pub mod plan; // what is to be done, and why
pub mod act; // carries it out, through `aws::WriteCloud`
pub mod ledger; // what this process remembers of earlier ticks
pub mod report; // what happened
pub mod drain; // an instance that goes away, and the hook that holds it
pub mod log; // what of it may be logged

pub mod units; // what they speak in
pub mod fargate;
pub mod definition;
pub mod variant;
pub mod refusal; // what AWS's words mean
pub mod redaction; // what of them may be shown

pub mod aws; // the edge
