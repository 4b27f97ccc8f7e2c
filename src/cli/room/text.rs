//! Container instances and what they would take, as a person reads it.

use super::{ClusterRoom, InstanceRow, RoomView, SizeRoom, State, WorkerRoom};
use crate::cli::page::{Meaning, Page, counted, grouped, plain};
use crate::cli::table::{Column, fitted};

/// As many instances as a person reads in a sentence.
const MOST_NAMED: usize = 10;

impl RoomView {
    /// The whole page.
    pub fn page(&self, width: usize) -> String {
        let mut page = Page::new(width);
        for cluster in &self.clusters {
            cluster.write(&mut page, width);
            page.gap();
        }
        if self.clusters.is_empty() {
            let none =
                "No worker's tasks go on container instances; name a cluster with --cluster.";
            page.entry("", none);
        }
        for worker in &self.workers {
            worker.write(&mut page);
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        if !self.workers.is_empty() {
            let each = "Each line is as if nothing else were started.";
            page.entry("", &format!("{each} {}.", counted(self.calls, "call")));
        }
        page.text()
    }
}

impl ClusterRoom {
    fn write(&self, page: &mut Page, width: usize) {
        let Self { cluster, active, draining, instances, errors } = self;
        let draining = match draining {
            0 => String::new(),
            n => format!(", {n} draining"),
        };
        let shown = u64::try_from(instances.len()).unwrap_or(u64::MAX);
        let all = counted(*active, "active container instance");
        page.entry("", &format!("{cluster}: {all}{draining}, {shown} shown"));
        for error in errors {
            page.entry_of(Meaning::Bad, "? ", error);
        }
        if instances.is_empty() {
            return;
        }
        let states = std::iter::once(None).chain(instances.iter().map(|row| Some(row.state)));
        for (line, state) in table(instances, width).lines().zip(states) {
            let meaning = match state {
                None | Some(State::Active) => Meaning::Plain,
                Some(State::Disconnected) => Meaning::Bad,
                Some(State::Draining) => Meaning::Aside,
            };
            page.line(meaning, line.trim_end());
        }
    }
}

impl State {
    fn words(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disconnected => "no agent",
            Self::Draining => "draining",
        }
    }
}

/// Columns that say nothing of any instance are left out, and those that do not fit.
fn table(rows: &[InstanceRow], width: usize) -> String {
    let has_gpus = rows.iter().any(|row| row.gpus != 0);
    let has_ports = rows.iter().any(|row| !(row.tcp_taken.is_empty() && row.udp_taken.is_empty()));
    let has_daemons = rows.iter().any(|row| !row.daemons.is_empty());
    let mut columns: Vec<Column> = vec![
        ("INSTANCE", 3, false),
        ("EC2", 0, false),
        ("ZONE", 4, false),
        ("STATE", 0, false),
        ("TASKS", 2, true),
        ("CPU LEFT", 0, true),
        ("MEMORY LEFT", 0, true),
    ];
    columns.extend(has_gpus.then_some(("GPUS LEFT", 1, true)));
    columns.extend(has_ports.then_some(("PORTS TAKEN", 5, false)));
    columns.extend(has_daemons.then_some(("DAEMONS", 1, false)));
    let of = |left: u64, all: u64| format!("{} of {}", grouped(left), grouped(all));
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.instance.get(..8).unwrap_or(&row.instance).to_owned(),
            row.ec2.clone(),
            row.zone.clone(),
            row.state.words().to_owned(),
            row.tasks.to_string(),
            of(row.cpu_left, row.cpu),
            of(row.memory_left, row.memory),
        ];
        cells.extend(has_gpus.then(|| of(row.gpus_left, row.gpus)));
        cells.extend(has_ports.then(|| row.ports()));
        cells.extend(has_daemons.then(|| row.daemons()));
        cells.iter().map(|cell| plain(cell).into_owned()).collect()
    });
    fitted(&columns, &cells.collect::<Vec<_>>(), width)
}

impl InstanceRow {
    fn ports(&self) -> String {
        let tcp = self.tcp_taken.iter().map(ToString::to_string);
        let udp = self.udp_taken.iter().map(|port| format!("{port}/udp"));
        let all: Vec<_> = tcp.chain(udp).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(",") }
    }

    fn daemons(&self) -> String {
        let one = |(service, runs): (&str, Option<bool>)| match runs {
            Some(true) => service.to_owned(),
            Some(false) => format!("no {service}"),
            None => format!("{service}?"),
        };
        let all = self.daemons.iter().map(|daemon| one((&daemon.service, daemon.runs)));
        all.collect::<Vec<_>>().join(", ")
    }
}

impl WorkerRoom {
    fn write(&self, page: &mut Page) {
        let Self { worker, cluster, sizes, error } = self;
        if let Some(error) = error {
            page.entry_of(Meaning::Bad, &format!("? {worker}  "), error);
        }
        let cluster = cluster.as_deref().unwrap_or_default();
        for size in sizes {
            let meaning = if size.tasks == 0 { Meaning::Warning } else { Meaning::Plain };
            let sign = if size.tasks == 0 { "!" } else { "=" };
            page.entry_of(meaning, &format!("{sign} {worker}  "), &size.sentence(cluster));
        }
    }
}

impl SizeRoom {
    fn sentence(&self, cluster: &str) -> String {
        let Self { containers_per_task: n, cpu, memory, gpus, tasks, on, lacks } = self;
        let gpus = if *gpus == 0 { String::new() } else { format!(", {}", counted(*gpus, "GPU")) };
        let each = format!("{} CPU units, {} MiB{gpus}", grouped(*cpu), grouped(*memory));
        let named = on.iter().take(MOST_NAMED).map(|on| format!("{} on {}", on.tasks, on.ec2));
        let more = on.len().saturating_sub(MOST_NAMED);
        let more = (more != 0).then(|| format!("the others on {more} more"));
        let places: Vec<_> = named.chain(more).collect();
        let all: u64 = lacks.iter().map(|lack| lack.instances).sum();
        let lacks: Vec<_> =
            lacks.iter().map(|lack| format!("{} {}", lack.instances, lack.why)).collect();
        let room = match tasks {
            0 => format!("no room in {cluster} for a task"),
            tasks => format!("room in {cluster} for {}", counted(*tasks, "task")),
        };
        let mut text = format!("{room} of {} ({each})", counted(*n, "container"));
        if !places.is_empty() {
            text = format!("{text}: {}", places.join(", "));
        }
        if !lacks.is_empty() {
            text = format!(
                "{text}; for one more, of {} {}",
                counted(all, "instance"),
                lacks.join(", ")
            );
        }
        text
    }
}
