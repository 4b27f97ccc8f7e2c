//! What a person reads: one document of tables, in Markdown.

use std::fmt::Write;
use std::time::Duration;

use crate::cases::{Case, Row};
use crate::ceiling::Ceiling;
use crate::cold::{Begin, Cold, SLICE};
use crate::functions::{Function, On, THREADS, Wire};
use crate::terminal::Run;

/// Where and when it was measured.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The command that prints this.
    pub command: String,
    /// The day, in UTC.
    pub date: String,
    /// Of this repository.
    pub commit: String,
    /// Cores, CPU and system.
    pub machine: String,
    /// How CPU time was read.
    pub meter: &'static str,
    /// Of the Python that runs the baselines, with boto3's.
    pub python: String,
}

/// The name of a function in the tables.
pub fn name(function: &Function) -> String {
    match function {
        Function::Scaler(_) => "ecs-queue-scaler".to_owned(),
        Function::Sequential => "boto3, in turn".to_owned(),
        Function::Threads => format!("boto3, {THREADS} threads"),
    }
}

/// The lines above the tables.
pub fn head(of: &Circumstances, ceiling: Ceiling) -> String {
    let Circumstances { command, date, commit, machine, meter, python } = of;
    let (per_second, delayed) = (ceiling.per_second, milliseconds(ceiling.delayed));
    format!(
        "`{command}`, {date}, commit {commit}; {machine}; {python}. CPU: {meter}. The fake of AWS gives \
         {per_second:.0} answers a second by itself, and its 10 ms are {delayed} ms.\n"
    )
}

/// Every case, each function's rows below each other.
pub fn ticks(rows: &[Row]) -> String {
    let mut page = "\n| workers | busy | tick | function | wall ms | ÷ floor | ÷ floor with rates | in turn ÷ it | threads ÷ it | calls | \
        above AWS's rates | chain | connections (new) | peak MB | CPU ms |\n\
        |---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for row in rows {
        let Some(tick) = row.median() else { continue };
        let times = |function: &Function| {
            let other = rows.iter().find(|other| {
                (other.case.workers, other.case.busy, other.case.on, other.cold)
                    == (row.case.workers, row.case.busy, row.case.on, row.cold)
                    && other.function == *function
            });
            let other = other.filter(|_| row.function != *function).and_then(Row::median);
            other.map_or(String::new(), |other| ratio(other.wall, tick.wall))
        };
        let chain = row.chain.map_or_else(|| format!("≤ {}", tick.tally.chain), |c| c.to_string());
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {chain} | {} ({}) | {:.1} | {} |",
            row.case.workers,
            busy(row.case),
            if row.cold { "cold" } else { "warm" },
            name(&row.function),
            spread(row.ticks.iter().map(|tick| tick.wall)),
            row.over_floor(),
            row.over_rates(),
            times(&Function::Sequential),
            times(&Function::Threads),
            tick.tally.total(),
            tick.tally.refused,
            tick.open,
            tick.tally.opened,
            tick.megabytes,
            spread(row.ticks.iter().map(|tick| tick.cpu)),
        );
    }
    page
}

fn busy(case: Case) -> String {
    let on = if case.on == On::Fargate { " (Fargate)" } else { "" };
    match case.busy {
        0 => "none".to_owned(),
        all if all == case.workers => format!("all{on}"),
        some => format!("{some}{on}"),
    }
}

/// What the calls of the warm ticks were.
pub fn calls(rows: &[Row]) -> String {
    let mut page =
        "\n| workers | busy | tick | calls of ecs-queue-scaler by API |\n|---|---|---|---|\n"
            .to_owned();
    for row in rows.iter().filter(|row| matches!(row.function, Function::Scaler(_))) {
        let Some(tick) = row.median() else { continue };
        let calls = tick.tally.calls.iter().map(|(api, count)| format!("{count} {api}"));
        let calls: Vec<_> = calls.collect();
        let start = if row.cold { "cold" } else { "warm" };
        let (workers, busy) = (row.case.workers, busy(row.case));
        let _ = writeln!(page, "| {workers} | {busy} | {start} | {} |", calls.join(", "));
    }
    page
}

/// How processes begin.
pub fn cold(colds: &[Cold]) -> String {
    let mut page = format!(
        "\n| one worker | wire | function | init CPU ms | CPU ms to the first answer | wall ms, one CPU | \
         wall ms, {SLICE} % of one | of it after init | runs |\n|---|---|---|---:|---:|---:|---:|---:|---|\n"
    );
    for cold in colds {
        let of = |begins: &[Begin], what: fn(&Begin) -> Duration| spread(begins.iter().map(what));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} + {} |",
            if cold.busy { "busy" } else { "idle" },
            if cold.wire == Wire::Https { "HTTPS" } else { "HTTP" },
            name(&cold.function),
            of(&cold.whole, |begin| begin.init_cpu),
            of(&cold.whole, |begin| begin.cpu),
            of(&cold.whole, |begin| begin.wall),
            of(&cold.slice, |begin| begin.wall),
            of(&cold.slice, |begin| begin.wall.saturating_sub(begin.init)),
            cold.whole.len(),
            cold.slice.len(),
        );
    }
    page
}

/// What commands take.
pub fn terminal(runs: &[Run]) -> String {
    let mut page =
        "\n| `queue-scaler` | wall ms | peak MB | calls | of the burst of reads | runs |\n\
                    |---|---:|---:|---|---:|---:|\n"
            .to_owned();
    for run in runs {
        let calls = run.tally.calls.iter().map(|(api, count)| format!("{count} {api}"));
        let calls: Vec<_> = calls.collect();
        let calls = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
        let _ = writeln!(
            page,
            "| {} | {} | {:.1} | {calls} | {:.0} % | {} |",
            run.what,
            spread(run.walls.iter().copied()),
            run.megabytes,
            run.tally.drained * 100.0,
            run.walls.len(),
        );
    }
    page
}

/// A goal, what was reached, and whether that is it.
#[derive(Clone, Debug)]
pub struct Goal {
    /// In words.
    pub goal: &'static str,
    /// What was measured; not a number where it was not.
    pub reached: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Whether it may be at most this, or has to be at least this.
    pub bound: Bound,
}

/// The side on which a goal lies.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// At most.
    Most(f64),
    /// At least.
    Least(f64),
}

/// All goals, reached or not.
pub fn goals(goals: &[Goal]) -> String {
    let mut page = "\n| goal | bound | measured | reached |\n|---|---:|---:|---|\n".to_owned();
    for Goal { goal, reached, unit, bound } in goals {
        let (bound, yes) = match bound {
            Bound::Most(most) => (format!("≤ {most}"), reached <= most),
            Bound::Least(least) => (format!("≥ {least}"), least <= reached),
        };
        let verdict = match (reached.is_nan(), yes) {
            (true, _) => "not measured",
            (_, true) => "yes",
            (_, false) => "**no**",
        };
        let _ = writeln!(page, "| {goal} | {bound} {unit} | {reached:.3} {unit} | {verdict} |");
    }
    page
}

/// The middle, and the least and the most where there were several.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<_> = times.collect();
    times.sort();
    let Some(median) = times.get(times.len() / 2) else { return "-".to_owned() };
    match (times.first(), times.last()) {
        (Some(least), Some(most)) if 2 < times.len() => {
            format!("{} ({}–{})", milliseconds(*median), milliseconds(*least), milliseconds(*most))
        }
        _ => milliseconds(*median),
    }
}

fn ratio(other: Duration, this: Duration) -> String {
    format!("{:.1}", other.as_secs_f64() / this.as_secs_f64())
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1}") } else { format!("{milliseconds:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_middle_and_both_ends() {
        let times = |list: &[u64]| spread(list.iter().map(|ms| Duration::from_millis(*ms)));
        assert_eq!(times(&[30, 10, 20]), "20.0 (10.0–30.0)");
        assert_eq!(times(&[1234]), "1234");
        assert_eq!(times(&[]), "-");
    }

    #[test]
    fn a_goal_that_was_not_measured_is_not_reached() {
        let goal = |reached, bound| goals(&[Goal { goal: "zip", reached, unit: "MB", bound }]);
        assert!(goal(3.0, Bound::Most(4.0)).contains("| yes |"));
        assert!(goal(5.0, Bound::Most(4.0)).contains("| **no** |"));
        assert!(goal(f64::NAN, Bound::Least(4.0)).contains("| not measured |"));
    }
}
