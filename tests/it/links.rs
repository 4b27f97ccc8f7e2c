//! Every link from one page to another leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::readme::pages;

#[test]
fn every_link_leads_somewhere() {
    let a = "# A\n[b](docs/b.md#what-it-is-for) [here](#a) `[no](link)` [out](https://example.com)";
    let b = "# B\n## What it is for\n[`A`](../a.md) [licence](../LICENSE)\n```sh\n[c](c)\n```\n";
    let of = |a: &str, b: &str| {
        let pages = [("a.md", a), ("docs/b.md", b)].map(|(page, text)| (page.into(), text.into()));
        dead_links(&BTreeMap::from(pages), |path| path == "LICENSE")
    };
    assert_eq!(of(a, b), [""; 0]);
    let broken = "[1](docs/c.md) [2](#b) [3](docs/b.md#a) [4](LICENSE#x) [5\n6](../a.md)";
    assert_eq!(of(broken, b).len(), 5, "{:?}", of(broken, b));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages();
    assert!(pages.contains_key("docs/alarms/README.md"), "{:?}", pages.keys());
    assert!(20 < pages.values().flat_map(|text| links(text)).count());
    let dead = dead_links(&pages, |path| root.join(path).exists());
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

/// Each with its page and what is wrong with it.
fn dead_links(pages: &BTreeMap<String, String>, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let all = pages.iter().flat_map(|(page, text)| links(text).into_iter().map(move |l| (page, l)));
    let dead = all.filter_map(|(page, link)| {
        let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
        let target = if path.is_empty() { page.clone() } else { beside(page, path) };
        let why = match (pages.get(&target), heading) {
            (Some(_), "") => return None,
            (Some(text), heading) if headings(text).contains(heading) => return None,
            (Some(_), _) => "has no such heading",
            (None, "") if is_there(&target) => return None,
            (None, _) => "is not there, or is no page",
        };
        Some(format!("{page}: {link}: {target} {why}"))
    });
    dead.collect()
}

/// The targets of links within the repository.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// Without blocks, and without what stands in backquotes.
fn prose(text: &str) -> String {
    let outside: String = text.split("```").step_by(2).collect();
    outside.split('`').step_by(2).collect()
}

/// As GitHub names headings.
fn headings(text: &str) -> BTreeSet<String> {
    let outside: String = text.split("```").step_by(2).collect();
    let titles = outside.lines().filter(|line| line.starts_with('#'));
    let names = titles.map(|title| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let legal = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        legal.map(|c| if c == ' ' { '-' } else { c }).collect()
    });
    names.collect()
}

/// What a relative path means on a page.
fn beside(page: &str, path: &str) -> String {
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." if parts.pop().is_none() => parts.push(".."),
            ".." | "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
