//! The rules: each gives its violations.

use std::collections::BTreeMap;

use super::tree::{
    CRATES, Code, Tree, code_of, end_of_item, is_of_a_crate, is_rust, is_word, names, tests_in,
    words,
};

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

pub(super) const MAX_LINES: usize = 400;

/// By `Cargo.lock`, which names what the tests of the core use as well.
pub(super) fn core_is_light(tree: &Tree) -> Vec<String> {
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
pub(super) fn named_tests_exist(tree: &Tree) -> Vec<String> {
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

pub(super) fn sdk_stays_at_the_edge(tree: &Tree) -> Vec<String> {
    let inside = tree.code().filter(|file| file.stem() != "aws" || file.root() != "src");
    let names = |file: &Code<'_>| {
        file.find_all(|line| SDK.iter().find(|prefix| words(line).any(|w| w.starts_with(**prefix))))
    };
    inside
        .flat_map(|file| names(&file))
        .map(|(place, name)| format!("{place}: names `{name}`; only src/aws.rs does"))
        .collect()
}

pub(super) fn environment_is_read_by_binaries(tree: &Tree) -> Vec<String> {
    tree.code()
        .filter(|file| file.path != "src/main.rs" && file.stem() != "bin")
        .flat_map(|file| file.find_all(|line| names(line, "std::env").then_some(())))
        .map(|(place, ())| format!("{place}: reads the environment; only the binaries do"))
        .collect()
}

pub(super) fn core_is_pure(tree: &Tree) -> Vec<String> {
    let impure = |line: &str| IMPURE.iter().find(|(name, _)| names(line, name));
    tree.code()
        .filter(|file| file.root() == "decision/src")
        .flat_map(|file| file.find_all(impure))
        .map(|(place, (name, reason))| format!("{place}: names `{name}`: {reason}"))
        .collect()
}

/// What remembers may use the monotonic clock only for how long something may take from now on.
pub(super) fn memory_has_no_monotonic_time(tree: &Tree) -> Vec<String> {
    let is_fine = |line: &str| line.contains("Instant::now() +") || line.starts_with("use ");
    let time = |line: &str| (names(line, "Instant") && !is_fine(line)).then_some(());
    tree.code()
        .filter(|file| ["ledger", "source", "report"].contains(&file.stem()))
        .flat_map(|file| file.find_all(time))
        .map(|(place, ())| format!("{place}: names `Instant`, which stands still in the freezer"))
        .collect()
}

/// Every module is in its crate's `lib.rs`, and imports only those that stand before it there.
pub(super) fn modules_look_up(tree: &Tree) -> Vec<String> {
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
pub(super) fn modules_used(code: &str) -> Vec<&str> {
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
const READS: [&str; 5] = ["Get", "List", "Describe", "FilterLogEvents", "SimulatePrincipalPolicy"];

pub(super) fn reads_only_read(tree: &Tree) -> Vec<String> {
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

pub(super) fn files_are_short(tree: &Tree) -> Vec<String> {
    tree.code()
        .filter(|file| !file.path.ends_with("/tests.rs"))
        .map(|file| (file.path, file.lines().filter(|(_, line)| !line.trim().is_empty()).count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines of code, more than {MAX_LINES}"))
        .collect()
}

pub(super) fn names_say_something(tree: &Tree) -> Vec<String> {
    let nameless = |part: &str| part == "mod" || part.split(['_', '-']).any(|w| VAGUE.contains(&w));
    tree.0
        .keys()
        .filter(|path| is_rust(path))
        .filter(|path| path.trim_end_matches(".rs").split('/').any(nameless))
        .map(|path| format!("{path}: name it after what it is about"))
        .collect()
}

pub(super) fn events_are_tested(tree: &Tree) -> Vec<String> {
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

/// The pattern or the type of a parameter is a tuple.
pub(super) fn parameters_are_named(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.code().filter(|file| !file.path.ends_with("/tests.rs")) {
        for (at, _) in file.text.match_indices("fn ") {
            let name = words(&file.text[at + 3..]).next().unwrap_or_default();
            let tuples = parameters(&file.text[at..]).into_iter().filter(|p| is_tuple(p));
            let tuples = tuples.map(|p| format!("{}: {name}: {p} is a tuple", file.path));
            violations.extend(tuples);
        }
    }
    violations
}

fn is_tuple(parameter: &str) -> bool {
    let typed = parameter.split_once(": ").map(|(_, its)| its.trim_start_matches('&'));
    parameter.starts_with('(') || typed.is_some_and(|its| its.starts_with('(') && its.contains(','))
}

/// The texts between the parentheses of what begins with `fn `.
fn parameters(code: &str) -> Vec<String> {
    let Some(begin) = code.find('(') else { return Vec::new() };
    let (mut depth, mut parameters, mut parameter) = (1_usize, Vec::new(), String::new());
    for character in code[begin + 1..].chars() {
        match character {
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth -= 1,
            _ => {}
        }
        match (character, depth) {
            (_, 0) => break,
            (',', 1) => parameters.push(std::mem::take(&mut parameter)),
            _ => parameter.push(character),
        }
    }
    parameters.push(parameter);
    parameters.iter().map(|parameter| parameter.trim().to_owned()).collect()
}

/// A file of tests as it is, with its comments.
pub(super) const MAX_LINES_OF_TESTS: usize = 600;

pub(super) fn tests_are_short(tree: &Tree) -> Vec<String> {
    let tests = tree.0.iter().filter(|(path, _)| path.starts_with("tests/") && is_rust(path));
    let counted = tests.map(|(path, text)| (path, text.lines().count()));
    counted
        .filter(|(_, lines)| MAX_LINES_OF_TESTS < *lines)
        .map(|(path, lines)| format!("{path}: {lines} lines, more than {MAX_LINES_OF_TESTS}"))
        .collect()
}

const MAP: &str = "ARCHITECTURE.md";

/// Every file of the crates is on the map, and every file on the map is there.
pub(super) fn map_is_true(tree: &Tree) -> Vec<String> {
    let page = tree.0.get(MAP).map_or("", String::as_str);
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let inside = |path: &str| {
        let root = CRATES.iter().find(|root| path.starts_with(&format!("{root}/")))?;
        Some(path[root.len() + 1..].to_owned())
    };
    let files = tree.0.keys().filter(|path| is_rust(path) && !path.ends_with("/tests.rs"));
    let files: Vec<String> = files.filter_map(|path| inside(path)).collect();
    let is_named = |file: &&String| {
        named.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => file.starts_with(beginning),
            None => file == name,
        })
    };
    let off = files.iter().filter(|file| *file != "lib.rs" && !is_named(file));
    let off = off.map(|file| format!("{MAP}: {file} is not on the map"));
    let is_there = |name: &str| {
        files.iter().any(|file| file == name) || tree.0.keys().any(|path| path.ends_with(name))
    };
    let gone = named.iter().filter(|name| is_rust(name) && !is_there(name));
    off.chain(gone.map(|name| format!("{MAP}: there is no {name}"))).collect()
}

/// The words in the last column of the glossary are not to be used for what its first one names.
pub(super) fn words_have_one_meaning(tree: &Tree) -> Vec<String> {
    let page = tree.0.get(MAP).map_or("", String::as_str);
    let rows = page.lines().skip_while(|line| *line != "| word | its one meaning | not |");
    let rows = rows.take_while(|line| line.starts_with('|'));
    let last = |row: &'_ str| row.rsplit('|').nth(1).unwrap_or_default().to_owned();
    let columns: Vec<String> = rows.map(last).collect();
    let banned = columns.iter().flat_map(|column| column.split('`').skip(1).step_by(2));
    let banned: Vec<&str> = banned.collect();
    if banned.len() < 2 {
        return vec![format!("{MAP}: its glossary bans nothing")];
    }
    let files = tree.0.iter().filter(|(path, _)| is_of_a_crate(path) && is_rust(path));
    let used = files.flat_map(|(path, text)| {
        let found = banned.iter().filter(|banned| words(text).any(|word| word == **banned));
        found.map(move |banned| format!("{path}: says {banned}; see the glossary in {MAP}"))
    });
    used.collect()
}
