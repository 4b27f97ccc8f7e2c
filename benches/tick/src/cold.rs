//! How a process begins: from its start to its first answer, with a whole CPU and with 7 % of one,
//! which is what 128 MB get on Lambda.

use std::time::Duration;

use serde_json::json;

use crate::Error;
use crate::aws::USUAL;
use crate::functions::{Function, On, Place, Wire};

/// Percent of a CPU. Source: Lambda developer guide, "Configure Lambda function memory": 1,769 MB
/// are one vCPU, so 128 MB are 7.2 %.
pub const SLICE: u32 = 7;

/// The start of a process, some times over.
#[derive(Clone, Debug)]
pub struct Cold {
    /// Whose.
    pub function: Function,
    /// How it talked.
    pub wire: Wire,
    /// Whether its one worker had messages: five calls, else one.
    pub busy: bool,
    /// With a whole CPU.
    pub whole: Vec<Begin>,
    /// With a slice of one; empty where it cannot be had.
    pub slice: Vec<Begin>,
}

/// One start.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    /// CPU until the function asked for its first event.
    pub init_cpu: Duration,
    /// CPU until its first answer.
    pub cpu: Duration,
    /// Time until it asked for its first event.
    pub init: Duration,
    /// Time until its first answer.
    pub wall: Duration,
}

/// Starts a function so many times, each way.
///
/// # Errors
/// When a tick fails.
pub fn run(
    place: &Place,
    (function, wire, busy): (&Function, Wire, bool),
    (whole, slice): (usize, usize),
) -> Result<Cold, Error> {
    let begin = |percent| begin(place, (function, wire, busy), percent);
    // The first one reads the files from the disk.
    let _ = begin(None)?;
    let whole = (0..whole).map(|_| begin(Some(100)).or_else(|_| begin(None)));
    let whole = whole.collect::<Result<_, _>>()?;
    let slice = (0..slice).map_while(|_| begin(Some(SLICE)).ok()).collect();
    Ok(Cold { function: function.clone(), wire, busy, whole, slice })
}

fn begin(
    place: &Place,
    (function, wire, busy): (&Function, Wire, bool),
    percent: Option<u32>,
) -> Result<Begin, Error> {
    let mut start = place.start(function, 1, (On::Ec2, wire))?;
    start.cpu = percent;
    place.fake.aws().forget();
    place.fake.aws().begin(usize::from(busy), USUAL);
    let process = start.run(&place.on)?;
    let init = process.ready()? - process.started;
    let init_cpu = process.cpu();
    process.send(&json!({"dryRun": false}));
    let answer = process.answer()?;
    answer.body?;
    // The pause in which its CPU time was read does not count.
    let wall = init + (answer.ended - answer.begun);
    let cpu = process.cpu();
    Ok(Begin { init_cpu, cpu, init, wall })
}
