//! A plan as a person reads it.

use super::{CallView, DefinitionView, LaunchView, PlanView, PlannedWorker, Status, Totals};
use crate::cli::difference::{ContainerDifference, Difference, Field, Kind, Role};
use crate::cli::page::{Clock, Meaning, Page, counted, plain};
use crate::cli::result::State;

/// The column of the names is no wider, whoever has a longer one.
const WIDEST_NAME: usize = 24;

/// The column of a definition's fields.
const FIELD: usize = 26;

/// What a page of a plan shows.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether workers that owe nothing are shown, too.
    pub all: bool,
    /// What times are shown by.
    pub clock: Clock,
}

impl PlanView {
    /// The whole page.
    pub fn page(&self, shown: &Shown) -> String {
        let mut page = Page::new(shown.width);
        page.entry("", &self.head(&shown.clock));
        page.gap();
        self.write_workers(&mut page, shown);
        for line in self.config.warnings.iter().map(|warning| format!("configuration: {warning}")) {
            page.entry_of(Meaning::Warning, "! ", &line);
        }
        if let Some(error) = self.config.problem() {
            page.entry_of(Meaning::Bad, "! ", &format!("configuration: {error}"));
        }
        for line in &self.notes {
            page.entry_of(Meaning::Warning, "! ", line);
        }
        page.entry("", &self.totals.sentence(shown.all));
        page.text()
    }

    /// The same for the comment of a pull request.
    pub fn markdown(&self, all: bool) -> String {
        let page = self.page(&Shown { width: 110, all, clock: Clock::utc() });
        let page = anstream::adapter::strip_str(&page).to_string();
        // A fence that no line of it can end.
        let longest = page.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(longest.saturating_add(1).max(3));
        let Totals { launching, containers, .. } = &self.totals;
        let title = match launching {
            0 => "nothing is launched".to_owned(),
            n => format!("{} launch {}", counted(*n, "worker"), counted(*containers, "container")),
        };
        format!(
            "### `{}`: {title}\n\n{fence}text\n{page}{fence}\n",
            plain(&self.scaler).replace('`', "")
        )
    }

    fn head(&self, clock: &Clock) -> String {
        let Self { scaler, region, at, config, .. } = self;
        let version = config.version.as_ref().map(|version| format!(" version {version}"));
        let by = if self.is_of_function { ", planned by the function" } else { "" };
        let nothing = if self.starts_nothing {
            "; its SCALER_DRY_RUN is true: it starts nothing"
        } else {
            ""
        };
        let version = version.unwrap_or_default();
        let at = clock.shown(at);
        format!(
            "{scaler}, {region}, configuration {}{version}, read {at}{by}{nothing}",
            config.source
        )
    }

    fn write_workers(&self, page: &mut Page, shown: &Shown) {
        let is_shown = |worker: &&PlannedWorker| shown.all || worker.state() != State::Idle;
        let workers: Vec<_> = self.workers.iter().filter(is_shown).collect();
        let width = |worker: &&PlannedWorker| textwrap::core::display_width(&worker.result.worker);
        let widest = workers.iter().map(width).max().unwrap_or_default().min(WIDEST_NAME);
        for worker in &workers {
            worker.write(page, widest);
        }
        if !workers.is_empty() {
            page.gap();
        }
    }
}

impl PlannedWorker {
    fn write(&self, page: &mut Page, widest: usize) {
        let (state, result) = (self.state(), &self.result);
        let name = padded(&result.worker, widest);
        page.entry_of(state.meaning(), &format!("{} {name}  ", state.sign()), &result.sentence());
        for warning in &result.warnings {
            page.entry_of(Meaning::Warning, "    ! ", warning);
        }
        match &self.launch {
            Some(launch) => launch.write(page),
            None => {
                for launched in &result.launched {
                    let (count, definition) = (launched.count, &launched.task_definition);
                    let definition = definition.rsplit('/').next().unwrap_or_default();
                    page.entry("    > ", &format!("{count} x {definition}"));
                }
            }
        }
    }
}

impl LaunchView {
    fn write(&self, page: &mut Page) {
        self.definitions.iter().for_each(|definition| definition.write(page));
        self.calls.iter().for_each(|call| call.write(page));
    }
}

impl CallView {
    fn write(&self, page: &mut Page) {
        let Self { operation, tasks, task_definition, on, times } = self;
        let on = if operation == "StartTask" {
            on.join(", ")
        } else {
            on.join(", what it cannot place on ")
        };
        let times = if *times == 1 { String::new() } else { format!("   {times} times") };
        page.entry(
            &format!("    > {operation:<9}"),
            &format!("{tasks:>2} x {task_definition}   {on}{times}"),
        );
    }
}

impl DefinitionView {
    fn write(&self, page: &mut Page) {
        let Self { name, status, base, supersedes, .. } = self;
        let base = base.as_deref().unwrap_or_default();
        match status {
            Status::Existing => page.entry("    = ", &format!("task definition {name}")),
            Status::Unread => {
                let error = self.error.as_deref().unwrap_or_default();
                let text =
                    format!("task definition {name} from {base}, if it is not there: {error}");
                page.entry_of(Meaning::Bad, "    ? ", &text);
            }
            Status::New => {
                let supersedes =
                    supersedes.as_ref().map(|before| format!("   (supersedes {before})"));
                let supersedes = supersedes.unwrap_or_default();
                let text = format!("task definition {name} from {base}{supersedes}");
                page.entry_of(Meaning::Good, "    + ", &text);
            }
        }
        if let (Some(difference), Some(with)) = (&self.difference, &self.compared_with) {
            difference.write(page, with);
        }
    }
}

impl Difference {
    fn write(&self, page: &mut Page, with: &str) {
        page.entry_of(Meaning::Aside, "        ", &format!("against {with}"));
        for field in &self.task {
            field.write(page, "        ");
        }
        let is_clone = |of: &&ContainerDifference| of.role == Some(Role::Clone);
        let (clones, others): (Vec<_>, Vec<_>) = self.containers.iter().partition(is_clone);
        for container in &others {
            container.write(page);
            if container.role.is_none() {
                write_clones(page, container, &clones);
            }
        }
    }
}

/// The clones stand behind the worker that they are as, by what is done with them.
fn write_clones(page: &mut Page, worker: &ContainerDifference, clones: &[&ContainerDifference]) {
    for kind in [Kind::Added, Kind::Changed, Kind::Removed] {
        let of_worker = clones.iter().filter(|clone| clone.is_clone_of(&worker.name));
        let names: Vec<_> = of_worker.filter(|c| c.kind == kind).map(|c| c.name.as_str()).collect();
        if !names.is_empty() {
            let text = format!("{}   as {}", names.join(", "), worker.name);
            page.entry_of(meaning(kind), &format!("      {} ", sign(kind)), &text);
        }
    }
}

impl ContainerDifference {
    fn is_clone_of(&self, worker: &str) -> bool {
        let number = self.name.strip_prefix(worker).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    }

    fn write(&self, page: &mut Page) {
        let Self { name, kind, role, fields, values_hidden, secrets_hidden } = self;
        let role = match role {
            Some(Role::Watcher) => "   ends the task when all workers have stopped",
            Some(Role::Clone) | None => "",
        };
        page.entry_of(meaning(*kind), &format!("      {} ", sign(*kind)), &format!("{name}{role}"));
        for field in fields {
            field.write(page, "          ");
        }
        let hidden = [(*values_hidden, "value"), (*secrets_hidden, "secret")];
        let hidden = hidden.into_iter().filter(|(count, _)| *count != 0);
        let hidden: Vec<_> = hidden
            .map(|(count, what)| counted(u64::try_from(count).unwrap_or(u64::MAX), what))
            .collect();
        if !hidden.is_empty() {
            page.entry_of(
                Meaning::Aside,
                "          ",
                &format!("{} not shown", hidden.join(" and ")),
            );
        }
    }
}

impl Field {
    fn write(&self, page: &mut Page, indentation: &str) {
        let Self { name, kind, before, after } = self;
        let text = match (before, after) {
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (None, Some(value)) | (Some(value), None) => value.clone(),
            (None, None) => "(not shown)".to_owned(),
        };
        let head = format!("{indentation}{} {}  ", sign(*kind), padded(name, FIELD));
        page.entry(&head, &text);
    }
}

fn sign(kind: Kind) -> char {
    match kind {
        Kind::Added => '+',
        Kind::Removed => '-',
        Kind::Changed => '~',
    }
}

fn meaning(kind: Kind) -> Meaning {
    match kind {
        Kind::Added => Meaning::Good,
        Kind::Removed => Meaning::Bad,
        Kind::Changed => Meaning::Warning,
    }
}

impl Totals {
    fn sentence(&self, all: bool) -> String {
        let Self { workers, launching, containers, tasks, idle, attention, .. } = self;
        let mut parts = Vec::new();
        if *launching == 0 {
            parts.push(format!("Plan: none of {} launches anything.", counted(*workers, "worker")));
        } else {
            let price =
                self.hourly().map(|price| format!(" (+{price} an hour)")).unwrap_or_default();
            let registered =
                self.registered.map(|n| format!(", {} registered", be(n, "task definition")));
            let calls = self.calls.map(|n| format!(", {} to start tasks", counted(n, "call")));
            parts.push(format!(
                "Plan: {launching} of {} launch{} {} in {}{price}{}{}.",
                counted(*workers, "worker"),
                if *launching == 1 { "es" } else { "" },
                counted(*containers, "container"),
                counted(*tasks, "task"),
                registered.unwrap_or_default(),
                calls.unwrap_or_default(),
            ));
        }
        if *idle != 0 {
            let hint = if all { "" } else { " (--all shows them)" };
            let are = if *idle == 1 { "is" } else { "are" };
            parts.push(format!("{idle} {are} idle{hint}."));
        }
        if !attention.is_empty() {
            let need = if attention.len() == 1 { "needs" } else { "need" };
            parts.push(format!("{} {need} a look: {}.", attention.len(), attention.join(", ")));
        }
        parts.join(" ")
    }
}

fn be(count: u64, noun: &str) -> String {
    let are = if count == 1 { "is" } else { "are" };
    format!("{} {are}", counted(count, noun))
}

fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(textwrap::core::display_width(text));
    format!("{text}{}", " ".repeat(missing))
}
