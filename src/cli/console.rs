//! `console`: all workers in a browser. Who may ask what, what is answered, and when something is read for it.

mod answers;
mod board;
mod connections;
mod files;
mod guard;
mod links;
mod prometheus;
mod reader;
mod update;

pub use self::answers::{Routes, router};
pub use self::board::{About, Answer, Board, Desk, Wish};
pub use self::connections::serve;
pub use self::files::saved;
pub use self::guard::{Guard, Refusal};
pub use self::reader::Reader;
