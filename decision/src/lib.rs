//! Which ECS tasks the SQS queues need: from the configuration and a snapshot of the world to a plan.
//!
//! ```text
//!  event ──► config ──► observe ──────► decide ──────► act ──────► report
//!            └─ here: what they are ─┘  └─ here ─┘     └─ the shell ─┘
//! ```
//!
//! Nothing in here waits, fails for a reason outside its arguments, or knows the time: no SDK and no
//! runtime is among its dependencies, and the clock is kept out by clippy and `tests/it/tidy.rs`.
//!
//! A module uses only those above it.

pub mod units; // what the others speak in
pub mod limits; // AWS's numbers
pub mod tags; // what we mark tasks and definitions with
pub mod fargate; // sizes and prices
pub mod refusal; // what AWS's words mean
pub mod redaction; // what of them may be shown
pub mod document; // a text as values, each with its position
pub mod definition; // a task definition
pub mod config; // what the operator wants
pub mod variant; // a definition with its worker cloned
pub mod event; // what woke us
pub mod snapshot; // the world as read once
pub mod plan; // what is to be done, and why
pub mod outcome; // what came of it
pub mod memory; // what a process knows of earlier ticks
pub mod decide; // (&Config, &Snapshot) -> Plan
