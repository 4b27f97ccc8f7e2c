//! The files of the page. None of them says anything of an account.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::cli::status::HelpPage;

/// A file, as it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PAGE: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

const fn file(name: &'static str, kind: &'static str, text: &'static str) -> File {
    File { name, kind, text }
}

const INDEX: &str = include_str!("page/index.html");

/// Scripts in the order in which one needs those before it.
const SCRIPTS: [File; 6] = [
    file("words.js", SCRIPT, include_str!("page/words.js")),
    file("live.js", SCRIPT, include_str!("page/live.js")),
    file("table.js", SCRIPT, include_str!("page/table.js")),
    file("charts.js", SCRIPT, include_str!("page/charts.js")),
    file("worker.js", SCRIPT, include_str!("page/worker.js")),
    file("page.js", SCRIPT, include_str!("page/page.js")),
];

/// uPlot 1.6.32 (MIT, `page/uplot.LICENSE`); `make uplot` fetches it again, by the digest in tools/page.
const PLOTS: File = file("uplot.js", SCRIPT, include_str!("page/uplot.js"));

const STYLES: [File; 2] = [
    file("uplot.css", STYLE, include_str!("page/uplot.css")),
    file("page.css", STYLE, include_str!("page/page.css")),
];

const OTHERS: [File; 4] = [
    file("", PAGE, INDEX),
    file("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    PLOTS,
    file("uplot.LICENSE", TEXT, include_str!("page/uplot.LICENSE")),
];

const fn help(page: HelpPage) -> File {
    file(page.address, TEXT, page.text)
}

/// What to do.
const HELP: [File; HelpPage::ALL.len()] = {
    let [one, two, three, four] = HelpPage::ALL;
    [help(one), help(two), help(three), help(four)]
};

fn all() -> impl Iterator<Item = &'static File> {
    OTHERS.iter().chain(&STYLES).chain(&SCRIPTS).chain(&HELP)
}

/// The file of this path, without the slash before it.
pub(super) fn find(path: &str) -> Option<File> {
    all().find(|file| file.name == path).copied()
}

/// All of them, compressed once: through a tunnel they come from far away.
static GZIPPED: LazyLock<BTreeMap<&str, Vec<u8>>> = LazyLock::new(|| {
    let gzipped = |file: &File| Some((file.name, gzipped(file.text).ok()?));
    all().filter_map(gzipped).collect()
});

fn gzipped(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

impl File {
    pub(super) fn gzipped(self) -> Option<&'static [u8]> {
        GZIPPED.get(self.name).map(Vec::as_slice)
    }
}

/// The page with what was seen, as one file that needs no server: the same scripts, one after the other.
pub fn saved(seen: &str) -> String {
    // No text of it can end the element that it stands in. Source: HTML, "Restrictions for contents of script
    // elements".
    let seen = seen.replace('<', "\\u003c");
    let script: String = SCRIPTS.iter().map(as_expression).collect();
    let style: String = STYLES.iter().map(|file| file.text).collect();
    let (head, body) = INDEX.split_once("<link rel=\"icon\"").unwrap_or_default();
    let (_, body) = body.split_once("</head>").unwrap_or_default();
    let body = body.trim_end().trim_end_matches("</html>").trim_end().trim_end_matches("</body>");
    format!(
        "{head}<style>{style}</style>\n</head>{body}<script type=\"application/json\" id=\"saved\">{seen}</script>\n\
         <script>{}</script>\n<script type=\"module\">\n{script}</script>\n</body>\n</html>\n",
        PLOTS.text
    )
}

/// A module as an expression, since one script has no others to import from: `import { a } from "./b.js";` becomes
/// `const { a } = $b;`, and what was exported is what the expression gives.
fn as_expression(file: &File) -> String {
    let mut exported = Vec::new();
    let lines = file.text.lines().map(|line| {
        if let Some(import) = line.strip_prefix("import ") {
            let (names, from) = import.split_once(" from ").unwrap_or_default();
            let from = from.trim_matches(['"', '.', '/', ';']).trim_end_matches(".js");
            return format!("const {names} = ${from};\n");
        }
        let Some(line) = line.strip_prefix("export ") else { return format!("{line}\n") };
        exported.extend(line.split(' ').nth(1));
        format!("{line}\n")
    });
    let body: String = lines.collect();
    let name = file.name.trim_end_matches(".js");
    format!("const ${name} = (() => {{\n{body}return {{ {} }};\n}})();\n", exported.join(", "))
}
