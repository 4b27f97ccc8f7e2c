//! What keeps the architecture: rules over the text of the repository.
//!
//! Every test first shows that its rule can fail, on samples, and then holds the repository to it.
//! Rules about code see it without comments, strings and unit tests.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The crates, each with its modules in the order of its `lib.rs`.
const CRATES: [&str; 2] = ["decision/src", "src"];

/// What the core does not know, and what it does instead.
const IMPURE: [(&str, &str); 10] = [
    ("async", "the core waits for nothing"),
    ("await", "the core waits for nothing"),
    ("Instant", "time is a field of the snapshot"),
    ("SystemTime", "time is a field of the snapshot"),
    ("Timestamp::now", "time is a field of the snapshot"),
    ("HashMap", "a plan prints the same twice: BTreeMap"),
    ("HashSet", "a plan prints the same twice: BTreeSet"),
    ("std::env", "the environment is parsed into Config"),
    ("std::fs", "files are parsed into Config"),
    ("std::net", "the network is behind ReadCloud and WriteCloud"),
];

/// Crates that only the edge names; longer names that begin so are meant too.
const SDK: [&str; 6] =
    ["aws_sdk_", "aws_smithy_", "aws_config", "aws_credential_types", "aws_types", "aws_runtime"];

const VAGUE: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

const MAX_LINES: usize = 400;

#[test]
fn only_the_aws_edge_names_the_sdk() {
    keeps(
        sdk_stays_at_the_edge,
        &[
            ("src/aws.rs", "use aws_sdk_sqs::Client;"),
            ("src/aws/launch.rs", "use aws_smithy_types::error::display::DisplayErrorContext;"),
            ("src/act.rs", "// aws_sdk_ecs is not named here\nconst A: &str = \"aws_config\";"),
            ("src/act.rs", "#[cfg(test)]\nmod tests {\n    use aws_sdk_ecs::types::Task;\n}"),
        ],
    );
    breaks(
        sdk_stays_at_the_edge,
        &[
            ("src/act.rs", "use aws_sdk_ecs::Client;"),
            ("src/main.rs", "let shared = aws_config::load_from_env().await;"),
            ("src/awsome.rs", "use aws_smithy_types::retry::RetryConfig;"),
            ("src/bin/queue-scaler.rs", "type Error = aws_sdk_sqs::Error;"),
        ],
    );
    holds(sdk_stays_at_the_edge);
}

#[test]
fn only_the_binaries_read_the_environment() {
    keeps(
        environment_is_read_by_binaries,
        &[
            ("src/main.rs", "let source = std::env::var(\"SCALER_CONFIG\");"),
            ("src/bin/queue-scaler.rs", "let arguments = env::args();"),
            ("src/report.rs", "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");"),
            ("src/config.rs", "/// Not std::env.\nfn environment() {}"),
        ],
    );
    breaks(
        environment_is_read_by_binaries,
        &[
            ("src/config.rs", "let source = std::env::var(\"SCALER_CONFIG\");"),
            ("src/aws.rs", "use std::{env, fmt};"),
            ("src/cli/plan.rs", "let region = env::var_os(\"AWS_REGION\");"),
            ("src/run.rs", "use std :: env ;"),
        ],
    );
    holds(environment_is_read_by_binaries);
}

#[test]
fn the_core_is_pure() {
    keeps(
        core_is_pure,
        &[
            ("src/observe.rs", "async fn observe() { join!(a, b).await }"),
            (
                "decision/src/decide/demand.rs",
                "/// No HashMap, no async.\nlet age = snapshot.now - env;",
            ),
            ("decision/src/plan.rs", "use std::collections::BTreeMap;"),
            ("decision/src/variant/watcher.sh", "async"),
        ],
    );
    breaks(
        core_is_pure,
        &[
            ("decision/src/decide.rs", "pub async fn decide() {}"),
            ("decision/src/plan.rs", "use std::collections::{BTreeMap, HashMap};"),
            ("decision/src/snapshot.rs", "let time = jiff::Timestamp::now();"),
            ("decision/src/variant.rs", "fn since(started: Instant) {}"),
            ("decision/src/variant/clones.rs", "use std::{env, fmt};"),
            ("decision/src/units.rs", "let text = std::fs::read_to_string(path);"),
        ],
    );
    holds(core_is_pure);
}

#[test]
fn what_outlives_an_invocation_goes_by_the_wall_clock() {
    keeps(
        memory_has_no_monotonic_time,
        &[
            ("decision/src/memory.rs", "at: Timestamp, // no Instant"),
            (
                "src/source/kept.rs",
                "use tokio::time::Instant;\nlet end = Instant::now() + PATIENCE;",
            ),
            ("src/run.rs", "pub deadline: Instant,"),
        ],
    );
    breaks(
        memory_has_no_monotonic_time,
        &[
            ("src/ledger.rs", "read: Option<Instant>,"),
            ("src/ledger.rs", "let at = Instant::now();"),
            ("src/source/kept.rs", "asked: Instant,"),
            ("src/report.rs", "fn age(asked: Instant) {}"),
        ],
    );
    holds(memory_has_no_monotonic_time);
}

#[test]
fn a_module_uses_only_those_above_it() {
    let order = ("src/lib.rs", "pub mod aws; // the edge\npub mod act;\npub mod run;");
    let others = ("decision/src/lib.rs", "pub mod units;\npub mod act;");
    let of = |path, text| tree(&[order, others, (path, text)]);
    for (path, text) in [
        ("src/run.rs", "use crate::act::act;\nuse crate::{act, aws::Aws};"),
        ("src/act/call.rs", "use crate::aws::Aws; // not crate::run\nuse crate::act::Acted;"),
        ("src/act.rs", "#[cfg(test)]\nmod tests { use crate::run::Scaler; }"),
        ("decision/src/act.rs", "use crate::units::Tasks;"),
    ] {
        assert_eq!(modules_look_up(&of(path, text)), NONE, "{text}");
    }
    for (path, text) in [
        ("src/act.rs", "use crate::run::Scaler;"),
        ("src/aws/launch.rs", "fn count(calls: &[crate::act::Call]) {}"),
        ("src/act/call.rs", "use crate::{\n    aws::{Aws, Read},\n    run::Scaler,\n};"),
        ("decision/src/units.rs", "use crate::act::act;"),
        ("src/plan.rs", ""),
    ] {
        assert_ne!(modules_look_up(&of(path, text)), NONE, "{text}");
    }
    holds(modules_look_up);
}

#[test]
fn what_reads_changes_nothing() {
    let inside = |text: &str| format!("impl ReadCloud {{ fn f() {{ {text} }} }}");
    keeps(
        reads_only_read,
        &[
            ("src/aws/sqs.rs", &inside("let call = self.sqs.get_queue_url();")),
            ("src/aws/sqs.rs", &inside("About { operation: \"ListTasks\", rate }")),
            ("src/aws/sqs.rs", "impl WriteCloud { fn f() { self.ecs.stop_task() } }"),
        ],
    );
    breaks(
        reads_only_read,
        &[
            ("src/aws/sqs.rs", &inside("let call = self.sqs.receive_message();")),
            ("src/aws/tasks.rs", &inside("self\n    .ecs\n    .stop_task()")),
            ("src/aws/stores.rs", &inside("About { operation: \"PutParameter\", rate }")),
        ],
    );
    holds(reads_only_read);
}

#[test]
fn no_file_is_long() {
    let lines = |count| "let x = 1; // a line\n".repeat(count);
    let rest = "// a comment\n\n".repeat(MAX_LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(MAX_LINES));
    keeps(
        files_are_short,
        &[
            ("src/act.rs", &(lines(MAX_LINES) + &rest + &tests)),
            ("decision/src/decide/tests.rs", &lines(MAX_LINES + 1)),
        ],
    );
    breaks(files_are_short, &[("src/act.rs", &lines(MAX_LINES + 1))]);
    holds(files_are_short);
}

#[test]
fn files_are_named_after_the_domain() {
    keeps(names_say_something, &[("src/aws/launch.rs", ""), ("tests/it/main.rs", "")]);
    breaks(
        names_say_something,
        &[
            ("src/decide/mod.rs", ""),
            ("tests/it/mod.rs", ""),
            ("src/utils.rs", ""),
            ("src/common/names.rs", ""),
            ("src/aws/helpers.rs", ""),
            ("src/task_manager.rs", ""),
            ("tests/it/test_util.rs", ""),
        ],
    );
    holds(names_say_something);
}

#[test]
fn every_event_is_used_by_a_test() {
    let event = ("events/schedule.json", "{}");
    let naming = "const EVENT: &str = include_str!(\"../../events/schedule.json\");";
    let unit = format!("#[cfg(test)]\nmod tests {{\n{naming}\n}}");
    for test in [("tests/it/events.rs", naming), ("src/event.rs", &unit)] {
        assert_eq!(events_are_tested(&tree(&[event, test])), NONE, "{test:?}");
    }
    for other in [
        ("src/event.rs", naming),
        ("tests/it/tidy.rs", naming),
        ("tests/it/events.rs", "\"../../events/reschedule.json\""),
    ] {
        assert_ne!(events_are_tested(&tree(&[event, other])), NONE, "{other:?}");
    }
    assert_ne!(events_are_tested(&tree(&[])), NONE, "a repository without events");
    holds(events_are_tested);
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let page = ("docs/reliability.md", "proof: `a_crash_at_any_call_starts_nothing_twice`");
    let test = "#[test]\nfn a_crash_at_any_call_starts_nothing_twice() {}";
    assert_eq!(named_tests_exist(&tree(&[page, ("tests/it/crash.rs", test)])), NONE);
    let other = ("tests/it/crash.rs", "fn a_crash_at_any_call_starts_nothing_twice_more() {}");
    assert_ne!(named_tests_exist(&tree(&[page, other])), NONE);
    assert_ne!(named_tests_exist(&tree(&[])), NONE, "a repository without the page");
    holds(named_tests_exist);
}

#[test]
fn below_the_core_there_is_no_sdk_and_no_runtime() {
    let package = |name: &str, below: &[&str]| {
        let below: Vec<_> = below.iter().map(|name| format!(" \"{name}\",\n")).collect();
        format!("[[package]]\nname = \"{name}\"\ndependencies = [\n{}]\n", below.concat())
    };
    let of = |packages: [String; 3]| tree(&[("Cargo.lock", &packages.join("\n"))]);
    let core = || package("decision", &["jiff 0.2.1"]);
    let jiff = package("jiff", &[]);
    assert_eq!(core_is_light(&of([core(), jiff, package("tokio", &[])])), NONE);
    for heavy in ["tokio", "aws-types"] {
        let packages = [core(), package("jiff", &[heavy]), package(heavy, &[])];
        assert_ne!(core_is_light(&of(packages)), NONE, "{heavy}");
    }
    assert_ne!(core_is_light(&tree(&[])), NONE, "a repository without the core");
    holds(core_is_light);
}

// -- the rules: each gives its violations --

/// By `Cargo.lock`, which names what the tests of the core use as well.
fn core_is_light(tree: &Tree) -> Vec<String> {
    let lock = tree.0.get("Cargo.lock").map_or("", String::as_str);
    let unquoted = |line: &str| line.trim().trim_matches([',', '"']).to_owned();
    let mut below = BTreeMap::<String, Vec<String>>::new();
    for package in lock.split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).map(unquoted);
        let list = package.split("dependencies = [").nth(1).unwrap_or_default();
        let all =
            list.lines().map(unquoted).filter_map(|line| Some(line.split(' ').next()?.into()));
        let all = all.take_while(|name: &String| name != "]");
        below.entry(name.unwrap_or_default()).or_default().extend(all);
    }
    let mut seen = vec!["decision".to_owned()];
    let mut next = 0;
    while let Some(name) = seen.get(next) {
        let new: Vec<_> = below.get(name).into_iter().flatten().cloned().collect();
        seen.extend(new.into_iter().filter(|name| !seen.contains(name)).collect::<Vec<_>>());
        next += 1;
    }
    if below.get("decision").is_none_or(Vec::is_empty) {
        return vec!["Cargo.lock: has no package decision with crates below it".into()];
    }
    let heavy = |name: &&String| name.starts_with("aws-") || name.starts_with("tokio");
    seen.iter().filter(heavy).map(|name| format!("Cargo.lock: {name} is below decision")).collect()
}

/// A name of four words or more in backquotes is a test's.
fn named_tests_exist(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.0.get("docs/reliability.md") else {
        return vec!["docs/reliability.md: is missing".into()];
    };
    let rust = || tree.0.iter().filter(|(path, _)| is_rust(path)).map(|(_, text)| text);
    let is_name = |text: &&str| {
        let letters =
            text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        letters && 4 <= text.split('_').count()
    };
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(is_name)
        .filter(|name| !rust().any(|text| text.contains(&format!("fn {name}("))))
        .map(|name| format!("docs/reliability.md: names {name}, which is no test"))
        .collect()
}

fn sdk_stays_at_the_edge(tree: &Tree) -> Vec<String> {
    let inside = tree.code().filter(|file| file.stem() != "aws" || file.root() != "src");
    let names = |file: &Code<'_>| {
        file.find_all(|line| SDK.iter().find(|prefix| words(line).any(|w| w.starts_with(**prefix))))
    };
    inside
        .flat_map(|file| names(&file))
        .map(|(place, name)| format!("{place}: names `{name}`; only src/aws.rs does"))
        .collect()
}

fn environment_is_read_by_binaries(tree: &Tree) -> Vec<String> {
    tree.code()
        .filter(|file| file.path != "src/main.rs" && file.stem() != "bin")
        .flat_map(|file| file.find_all(|line| names(line, "std::env").then_some(())))
        .map(|(place, ())| format!("{place}: reads the environment; only the binaries do"))
        .collect()
}

fn core_is_pure(tree: &Tree) -> Vec<String> {
    let impure = |line: &str| IMPURE.iter().find(|(name, _)| names(line, name));
    tree.code()
        .filter(|file| file.root() == "decision/src")
        .flat_map(|file| file.find_all(impure))
        .map(|(place, (name, reason))| format!("{place}: names `{name}`: {reason}"))
        .collect()
}

/// What remembers may use the monotonic clock only for how long something may take from now on.
fn memory_has_no_monotonic_time(tree: &Tree) -> Vec<String> {
    let is_fine = |line: &str| line.contains("Instant::now() +") || line.starts_with("use ");
    let time = |line: &str| (names(line, "Instant") && !is_fine(line)).then_some(());
    tree.code()
        .filter(|file| ["ledger", "source", "report"].contains(&file.stem()))
        .flat_map(|file| file.find_all(time))
        .map(|(place, ())| format!("{place}: names `Instant`, which stands still in the freezer"))
        .collect()
}

/// Every module is in its crate's `lib.rs`, and imports only those that stand before it there.
fn modules_look_up(tree: &Tree) -> Vec<String> {
    let order_of = |root: &str| -> Vec<&str> {
        let library = tree.0.get(&format!("{root}/lib.rs")).map_or("", String::as_str);
        let modules = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
        modules.filter_map(|line| line.split(';').next()).collect()
    };
    let orders = CRATES.map(|root| (root, order_of(root)));
    let order = |file: &Code<'_>| {
        orders.iter().find(|(root, _)| file.root() == *root).map(|(_, order)| order.clone())
    };
    let mut violations = Vec::new();
    for file in tree.code().filter(|file| !["lib", "main", "bin"].contains(&file.stem())) {
        let order = order(&file).unwrap_or_default();
        let Some(own) = order.iter().position(|module| *module == file.stem()) else {
            violations.push(format!("{}: is of no module in lib.rs", file.path));
            continue;
        };
        let later = modules_used(&file.text).into_iter();
        let later = later.filter(|used| order.iter().skip(own + 1).any(|module| module == used));
        let told = |used| format!("{}: uses {used}, which comes after it in lib.rs", file.path);
        violations.extend(later.map(told));
    }
    violations
}

/// The modules of its own crate that code names: `a` and `b` of `crate::a` and `crate::{x::y, b}`.
fn modules_used(code: &str) -> Vec<&str> {
    let mut used = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            used.extend(words(rest).next());
            continue;
        };
        let (mut depth, mut is_first) = (1_usize, true);
        for (index, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_first = true,
                c if is_first && is_word(c) => {
                    used.extend(words(&list[index..]).next());
                    is_first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    used
}

/// An operation by the beginning of its name, in the API and in the SDK.
const READS: [&str; 3] = ["Get", "List", "Describe"];

fn reads_only_read(tree: &Tree) -> Vec<String> {
    let reads = |name: &str| {
        READS.iter().any(|verb| {
            name.starts_with(verb) || name.starts_with(&format!("{}_", verb.to_lowercase()))
        })
    };
    let mut violations = Vec::new();
    for file in tree.code() {
        for (start, _) in file.text.match_indices("impl ReadCloud") {
            let block = start..end_of_item(&file.text, start);
            let source = &tree.0[file.path][block.clone()];
            let packed: String = file.text[block].split_whitespace().collect();
            let named = source.split("operation: \"").skip(1);
            let named = named.filter_map(|rest| rest.split('"').next());
            let clients = ["self.ecs.", "self.sqs."];
            let called = clients.iter().flat_map(|client| packed.split(client).skip(1));
            let called = called.filter_map(|rest| words(rest).next());
            let changes = named.chain(called).filter(|name| !reads(name));
            violations.extend(changes.map(|name| format!("{}: {name} is no reading", file.path)));
        }
    }
    violations
}

fn files_are_short(tree: &Tree) -> Vec<String> {
    tree.code()
        .filter(|file| !file.path.ends_with("/tests.rs"))
        .map(|file| (file.path, file.lines().filter(|(_, line)| !line.trim().is_empty()).count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines of code, more than {MAX_LINES}"))
        .collect()
}

fn names_say_something(tree: &Tree) -> Vec<String> {
    let nameless = |part: &str| part == "mod" || part.split(['_', '-']).any(|w| VAGUE.contains(&w));
    tree.0
        .keys()
        .filter(|path| is_rust(path))
        .filter(|path| path.trim_end_matches(".rs").split('/').any(nameless))
        .map(|path| format!("{path}: name it after what it is about"))
        .collect()
}

fn events_are_tested(tree: &Tree) -> Vec<String> {
    let events: Vec<&String> = tree.0.keys().filter(|path| path.starts_with("events/")).collect();
    if events.is_empty() {
        return vec!["events/: is empty".into()];
    }
    let ours = |path: &str| path != "tests/it/tidy.rs";
    let integration = tree.0.iter().filter(|(path, _)| path.starts_with("tests/") && ours(path));
    let with_units = tree.0.iter().filter(|(path, _)| is_of_a_crate(path));
    let units = with_units
        .flat_map(|(_, text)| tests_in(&code_of(text)).into_iter().map(|range| &text[range]));
    let tests: Vec<&str> = integration.map(|(_, text)| text.as_str()).chain(units).collect();
    events
        .into_iter()
        .filter(|event| !tests.iter().any(|text| text.contains(event.as_str())))
        .map(|event| format!("{event}: no test names it"))
        .collect()
}

// -- the tree they read --

/// Texts by path from the root, with `/`: `src/aws/launch.rs`.
struct Tree(BTreeMap<String, String>);

/// A source file without comments, strings and unit tests; the lines keep their numbers.
struct Code<'a> {
    path: &'a str,
    text: String,
}

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree(files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect())
}

impl Tree {
    fn repository() -> Self {
        let mut tree = Self(BTreeMap::new());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["src", "decision", "tests", "events", "docs"] {
            tree.add(root, &root.join(folder));
        }
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        tree.0.insert("Cargo.lock".to_owned(), lock);
        tree
    }

    fn add(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add(root, &path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                self.0.insert(name.replace('\\', "/"), text);
            }
        }
    }

    fn code(&self) -> impl Iterator<Item = Code<'_>> {
        self.0
            .iter()
            .filter(|(path, _)| is_of_a_crate(path) && is_rust(path))
            .map(|(path, text)| Code { path, text: without_tests(&code_of(text)) })
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn is_of_a_crate(path: &str) -> bool {
    CRATES.iter().any(|root| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/')))
}

impl Code<'_> {
    /// `decision/src` of `decision/src/decide/packing.rs`.
    fn root(&self) -> &'static str {
        let root = CRATES.into_iter().find(|root| self.path.starts_with(root));
        root.unwrap_or_else(|| panic!("{} is of no crate", self.path))
    }

    /// `decide` of `src/decide.rs` and of `src/decide/packing.rs`.
    fn stem(&self) -> &str {
        let inside = &self.path[self.root().len() + 1..];
        let first = inside.split('/').next().unwrap_or(inside);
        first.trim_end_matches(".rs")
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn find_all<T>(&self, find: impl Fn(&str) -> Option<T>) -> Vec<(String, T)> {
        let found = self.lines().filter_map(|(number, line)| Some((number, find(line)?)));
        found.map(|(number, hit)| (format!("{}:{number}", self.path), hit)).collect()
    }
}

// -- reading Rust, as far as the rules need it --

/// The source with spaces for comments, strings and characters; byte for byte in its old place.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = length_of_text(rest) {
            code.push_str(&blank(&rest[..length]));
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// How long the comment, string or character is that `rest` begins with.
fn length_of_text(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let content = raw[hashes..].strip_prefix('"')?;
        let end = content.find(&format!("\"{}", "#".repeat(hashes)))?;
        return Some(1 + hashes + 1 + end + 1 + hashes);
    }
    let mut characters = rest.chars();
    match (characters.next()?, characters.next()?) {
        ('"', _) => end_of_quote(rest, '"'),
        ('\'', '\\') => end_of_quote(rest, '\''),
        // Not a lifetime.
        ('\'', other) if characters.next() == Some('\'') => Some(2 + other.len_utf8()),
        _ => None,
    }
}

fn end_of_quote(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Where the items stand that are only there for tests.
fn tests_in(code: &str) -> Vec<Range<usize>> {
    let attributes = code.match_indices("#[cfg(test)]").map(|(start, _)| start);
    attributes.map(|start| start..end_of_item(code, start)).collect()
}

/// After the semicolon or the closing brace.
fn end_of_item(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (index, character) in code[start..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(character, '}' | ';') {
            return start + index + 1;
        }
    }
    code.len()
}

fn without_tests(code: &str) -> String {
    let mut text = code.to_owned();
    for range in tests_in(code) {
        text.replace_range(range.clone(), &blank(&code[range]));
    }
    text
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// Whether the line names it: a word anywhere; of a path, the last word beside `::` or imported.
fn names(line: &str, path: &str) -> bool {
    let Some((_, last)) = path.rsplit_once("::") else {
        return words(line).any(|word| word == path);
    };
    let line = line.replace(' ', "");
    let imported = line.starts_with("use") && words(&line).any(|word| word == last);
    let beside = line.match_indices(last).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + last.len()..]);
        let whole = !before.ends_with(is_word) && !after.starts_with(is_word);
        whole && (before.ends_with("::") || after.starts_with("::"))
    });
    imported || beside
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let source = "let a = \"\\\"b\"; // c\nlet d = r#\"e\"f\"#; /* g\n */ let h: &'i str = '\\'';\n\
                  #[cfg(test)]\nmod j { fn k() {} }\nlet l = '\"';\n#[cfg(test)]\nuse m;\nlet n;";
    let code = without_tests(&code_of(source));
    assert_eq!(code.len(), source.len());
    assert_eq!(code.lines().count(), source.lines().count());
    assert_eq!(words(&code).filter(|word| word.len() == 1).collect::<String>(), "adhiln");
}

// -- holding a rule to samples, and the repository to a rule --

type Rule = fn(&Tree) -> Vec<String>;

const NONE: Vec<String> = Vec::new();

/// Each of the samples, alone, is as it should be.
fn keeps(rule: Rule, samples: &[(&str, &str)]) {
    for sample in samples {
        assert_eq!(rule(&tree(&[*sample])), NONE, "{}", sample.0);
    }
}

/// Each of the samples, alone, is found out.
fn breaks(rule: Rule, samples: &[(&str, &str)]) {
    for sample in samples {
        assert_ne!(rule(&tree(&[*sample])), NONE, "{}", sample.0);
    }
}

fn holds(rule: Rule) {
    let violations = rule(&Tree::repository());
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}
