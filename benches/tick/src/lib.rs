//! What `make bench` needs: a fake of SQS and ECS that answers after a fixed delay and counts, a fake
//! of the Lambda Runtime API that wakes a function and takes the time, the functions that are compared,
//! and what a process cost. It knows nothing of the function's own code: it sees what AWS would see.
#![expect(
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "it measures time, waits and starts processes; one that cannot go on stops where it stands"
)]

pub mod cases; // what is measured
pub mod cold; // how a process begins
pub mod terminal; // what a command takes
pub mod ceiling; // what the fake itself can do
pub mod page; // what a person reads

pub mod functions; // who is compared
pub mod process; // a function under way, and what it costs
pub mod lambda; // wakes it and takes the time
pub mod http; // listens, with and without TLS
pub mod aws; // answers as SQS and ECS do
pub mod tally; // what was asked, and in what order

/// Whatever goes wrong, as far as a person needs to know it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
