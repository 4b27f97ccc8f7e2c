//! `paused`: a worker of which nothing is started for a while. Pure: the time is an argument.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// That nothing is started for a worker, whatever waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// When it ends by itself; none: when somebody takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Pause {
    /// Whether it holds at this instant.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "paused until {until}")?,
            None => f.write_str("paused until `paused` is taken away")?,
        }
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}
