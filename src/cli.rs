//! The command line, behind the feature `cli`: what the function reads and decides, for a person at a
//! terminal. A command makes a view, which programs get as JSON, and of it a page, which people read.

pub mod deployment; // which scaler, where
pub mod difference; // two task definitions, by meaning
pub mod page; // lines of a bounded width
pub mod file; // written whole, or not at all
pub mod table; // rows below a head
pub mod mark; // a mistake under its line
pub mod validation; // what is wrong with a configuration
pub mod render; // a derived task definition
pub mod result; // the result of a tick, as a terminal reads it
pub mod plan; // what a tick would do
pub mod apply; // a plan, carried out
mod yaml; // texts in a file that is written here
pub mod import; // manifests of KEDA as a configuration
pub mod init; // a configuration for what an account has
pub mod checks; // what a configuration names, in the account
pub mod explain; // a decision that was logged
pub mod status; // all workers at a glance
pub mod stop; // tasks that are stopped
pub mod overview; // all workers, and how they came to be so
pub mod top; // them on a screen
pub mod reads; // what is read for who looks again and again
pub mod console; // them in a browser
pub mod room; // container instances, and what they would take
pub mod start; // tasks of any definition on them
pub mod tables; // what a tick would see, as tables
pub mod pause; // a worker that starts nothing
pub mod clean; // derived revisions that nobody needs
