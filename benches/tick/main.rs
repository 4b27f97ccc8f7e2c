//! `make bench`: ecs-queue-scaler beside what people would write instead, in one table.
//!
//! ```text
//! tick --binary PATH --terminal PATH --python PATH [--quick] [--decision FILE] [--launch FILE] [--page FILE]
//! tick --serve WORKERS
//! tick --cold PATH      only how this binary begins
//! ```
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "it tells a person what it measured"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tick_bench::Error;
use tick_bench::aws::{Load, USUAL};
use tick_bench::cases::{self, Case, Row};
use tick_bench::ceiling;
use tick_bench::cold::{self, Cold};
use tick_bench::functions::{Function, On, Place, Wire};
use tick_bench::page::{self, Bound, Circumstances, Goal};
use tick_bench::process::meter;
use tick_bench::terminal::{self, Run};

/// Where the page's tables are.
const MARKS: (&str, &str) = ("<!-- bench -->\n", "<!-- end of bench -->");

fn main() -> Result<(), Error> {
    let arguments = Arguments::read()?;
    match (&arguments.cold, arguments.serve) {
        (Some(binary), _) => only_cold(binary, &arguments),
        (None, Some(workers)) => serve(workers, &arguments),
        (None, None) => everything(&arguments),
    }
}

/// What the command line says.
#[derive(Default)]
struct Arguments {
    binary: PathBuf,
    terminal: PathBuf,
    python: PathBuf,
    cold: Option<PathBuf>,
    serve: Option<usize>,
    quick: bool,
    decision: Option<PathBuf>,
    launch: Option<PathBuf>,
    page: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Result<Self, Error> {
        let mut read = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--serve" {
                read.serve = Some(words.next().ok_or("--serve needs a number")?.parse()?);
                continue;
            }
            let mut path = || words.next().map(PathBuf::from).ok_or(format!("{word} needs a path"));
            match word.as_str() {
                "--binary" => read.binary = path()?,
                "--terminal" => read.terminal = path()?,
                "--python" => read.python = path()?,
                "--cold" => read.cold = Some(path()?),
                "--decision" => read.decision = Some(path()?),
                "--launch" => read.launch = Some(path()?),
                "--page" => read.page = Some(path()?),
                "--quick" => read.quick = true,
                "--bench" => {} // cargo says so itself
                other => return Err(format!("what is {other}?").into()),
            }
        }
        Ok(read)
    }
}

fn only_cold(binary: &Path, arguments: &Arguments) -> Result<(), Error> {
    let place = Place::new(binary.to_owned(), arguments.python.clone())?;
    let scaler = Function::Scaler(binary.to_owned());
    let ways = [(Wire::Https, false), (Wire::Http, false), (Wire::Https, true)];
    let colds = ways.iter().map(|(wire, busy)| {
        // Its derived definition is there, as it is after the first minutes of a deployment.
        cases::register_all(&place, 1)?;
        cold::run(&place, (&scaler, *wire, *busy), (20, 10))
    });
    let colds = colds.collect::<Result<Vec<_>, _>>()?;
    println!("{}: {:.2} MB\n{}", binary.display(), megabytes(binary)?, page::cold(&colds));
    Ok(())
}

/// The fake alone, for who looks at it: prints what a command needs to reach it, and then, for each line that comes,
/// the calls since the line before.
fn serve(workers: usize, arguments: &Arguments) -> Result<(), Error> {
    let place = Place::new(arguments.binary.clone(), arguments.python.clone())?;
    let function = Function::Scaler(arguments.binary.clone());
    let start = place.start(&function, workers, (On::Ec2, Wire::Https))?;
    place.fake.aws().load(Load { busy: workers, tasks: 1, waits: false });
    place.fake.aws().look(USUAL);
    let environment: BTreeMap<_, _> = start.environment.into_iter().collect();
    println!("{}", serde_json::to_string(&environment)?);
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", serde_json::to_string(&place.fake.aws().tally().calls)?);
        place.fake.aws().look(USUAL);
    }
    Ok(())
}

fn everything(arguments: &Arguments) -> Result<(), Error> {
    let began = Instant::now();
    let Arguments { binary, python, quick, .. } = arguments;
    let place = Place::new(binary.clone(), python.clone())?;
    let ceiling = ceiling::measure(&place)?;
    let cases = if *quick { quick_cases() } else { all_cases() };
    let most = cases.iter().map(|(case, _)| case.busy).max().unwrap_or_default();
    eprintln!("registering the derived definitions of {most} workers");
    cases::register_all(&place, most)?;
    let rows = rows(&place, &cases)?;
    let colds = colds(&place, *quick)?;
    eprintln!("the command line");
    let runs = terminal::run(&place, &arguments.terminal, *quick)?;
    let text = [
        page::head(&circumstances(arguments)?, ceiling),
        page::goals(&[goals(arguments, (&rows, &colds))?, of_terminal(&rows, &runs)].concat()),
        page::ticks(&rows),
        page::calls(&rows),
        page::cold(&colds),
        page::terminal(&runs),
        lines_with_bars("The decision alone:", arguments.decision.as_deref())?,
        lines_with_bars("Launching in virtual time:", arguments.launch.as_deref())?,
    ];
    let text = text.concat();
    println!("{text}\n{:.0} s", began.elapsed().as_secs_f64());
    match &arguments.page {
        Some(path) => write_page(path, &text),
        None => Ok(()),
    }
}

/// A case, and how often each baseline does it: cold and warm; not at all where it would take
/// minutes and tell nothing new.
type Plan = (Case, [Option<(usize, usize)>; 2]);

fn case((workers, busy): (usize, usize), (cold, warm): (usize, usize)) -> Case {
    Case { workers, busy, on: On::Ec2, cold, warm }
}

fn all_cases() -> Vec<Plan> {
    let few = Some((3, 5));
    let one = Some((1, 1));
    vec![
        (case((1, 0), (5, 9)), [few, few]),
        (case((1, 1), (5, 9)), [few, few]),
        (case((50, 0), (5, 9)), [few, few]),
        (case((50, 1), (5, 9)), [few, few]),
        (case((50, 50), (3, 7)), [Some((1, 3)), few]),
        (Case { on: On::Fargate, ..case((50, 50), (2, 5)) }, [None, None]),
        (case((500, 0), (3, 5)), [one, few]),
        (case((500, 1), (3, 5)), [one, few]),
        (case((500, 500), (1, 1)), [Some((1, 0)), one]),
        (case((1000, 0), (3, 5)), [one, few]),
        (case((1000, 1), (3, 5)), [one, few]),
        (case((1000, 1000), (1, 1)), [None, one]),
    ]
}

fn quick_cases() -> Vec<Plan> {
    let one = Some((1, 1));
    vec![
        (case((1, 1), (3, 3)), [one, one]),
        (case((50, 0), (3, 3)), [one, one]),
        (case((50, 50), (1, 3)), [one, one]),
        (case((1000, 0), (1, 3)), [None, one]),
    ]
}

fn rows(place: &Place, cases: &[Plan]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (case, baselines) in cases {
        let scaler = (Function::Scaler(place.binary.clone()), Some((case.cold, case.warm)));
        let [sequential, threads] = *baselines;
        let mut of_case = Vec::new();
        for (function, times) in
            [scaler, (Function::Sequential, sequential), (Function::Threads, threads)]
        {
            let Some((cold, warm)) = times else { continue };
            let case = Case { cold, warm, ..*case };
            eprintln!("{} of {} workers busy: {}", case.busy, case.workers, page::name(&function));
            let run = cases::run(place, case, &function);
            of_case.extend(run.map_err(|error| format!("{}: {error}", page::name(&function)))?);
        }
        // Cold ones first, each function below the other.
        of_case.sort_by_key(|row| !row.cold);
        rows.extend(of_case);
    }
    Ok(rows)
}

fn colds(place: &Place, quick: bool) -> Result<Vec<Cold>, Error> {
    let scaler = Function::Scaler(place.binary.clone());
    let (often, seldom) = if quick { ((5, 3), (3, 1)) } else { ((20, 10), (10, 5)) };
    let ways = [
        (&scaler, Wire::Https, true, often),
        (&Function::Sequential, Wire::Https, true, seldom),
        (&scaler, Wire::Https, false, often),
        (&scaler, Wire::Http, false, often),
    ];
    let colds = ways.into_iter().map(|(function, wire, busy, times)| {
        eprintln!("cold starts: {}", page::name(function));
        cold::run(place, (function, wire, busy), times)
    });
    colds.collect()
}

fn goals(arguments: &Arguments, (rows, colds): (&[Row], &[Cold])) -> Result<Vec<Goal>, Error> {
    let scaler = Function::Scaler(arguments.binary.clone());
    let row = |function: &Function, workers, busy| {
        rows.iter().find(|row| {
            (&row.function, row.case.workers, row.case.busy, row.case.on, row.cold)
                == (function, workers, busy, On::Ec2, false)
        })
    };
    let wall = |function: &Function, workers, busy| {
        let tick = row(function, workers, busy).and_then(Row::median);
        tick.map_or(f64::NAN, |tick| tick.wall.as_secs_f64())
    };
    let peak = |workers| peak(rows, &scaler, workers);
    let cpu = |function| cpu(colds, function);
    let floor = row(&scaler, 50, 50).map_or(f64::NAN, Row::over_floor);
    let faster = wall(&Function::Sequential, 50, 50) / wall(&scaler, 50, 50);
    let idle = wall(&scaler, 1000, 0) * 1000.0;
    let of_python = cpu(&scaler) / cpu(&Function::Sequential);
    let goal = |goal, reached, unit, bound| Goal { goal, reached, unit, bound };
    let decision = figure(arguments.decision.as_deref(), "─ 50 ")?;
    Ok(vec![
        goal(
            "50 busy workers, warm, over the floor of four round trips",
            floor,
            "×",
            Bound::Most(1.3),
        ),
        goal(
            "1,000 idle workers, warm: three round trips and 0.2 ms each",
            idle,
            "ms",
            Bound::Most(230.0),
        ),
        goal("50 busy workers, warm, faster than boto3 in turn", faster, "×", Bound::Least(50.0)),
        goal("CPU of the first tick from cold, of Python's", of_python, "×", Bound::Most(0.25)),
        goal("peak memory at 50 workers", peak(50), "MB", Bound::Most(30.0)),
        goal("peak memory at 1,000 workers", peak(1000), "MB", Bound::Most(60.0)),
        goal(
            "package (bootstrap and workers.yaml, deflate 9)",
            package(arguments)?,
            "MB",
            Bound::Most(4.0),
        ),
        goal("decision for 50 workers", decision, "ms", Bound::Most(1.0)),
        goal(
            "launching 1,000 containers, of the best possible",
            efficiency(arguments, "| 1000 | 1 | 1000 | one |")?,
            "%",
            Bound::Least(98.0),
        ),
        goal(
            "launching 10,000 containers, of the best possible",
            efficiency(arguments, "| 10000 | 1 | 10000 | one |")?,
            "%",
            Bound::Least(98.0),
        ),
    ])
}

/// What a person waits for.
fn of_terminal(rows: &[Row], [version, validate, plan, status]: &[Run; 4]) -> Vec<Goal> {
    let tick = rows.iter().find(|row| {
        let is_scaler = matches!(row.function, Function::Scaler(_));
        let size = (row.case.workers, row.case.busy, row.case.on);
        is_scaler && !row.cold && size == (terminal::PLANNED, terminal::PLANNED, On::Ec2)
    });
    let tick = tick.and_then(Row::median).map(|tick| tick.wall);
    let start = version.median().as_secs_f64();
    let tick = tick.map_or(f64::NAN, |tick| tick.as_secs_f64() + start);
    let milliseconds = |run: &Run| run.median().as_secs_f64() * 1000.0;
    let goal = |goal, reached, unit, bound| Goal { goal, reached, unit, bound };
    vec![
        goal("`queue-scaler --version`", milliseconds(version), "ms", Bound::Most(10.0)),
        goal("`validate` of 1,000 workers", milliseconds(validate), "ms", Bound::Most(150.0)),
        goal(
            "`plan` of 50 busy workers, of a warm tick and the start of a process",
            plan.median().as_secs_f64() / tick,
            "×",
            Bound::Most(1.3),
        ),
        goal(
            "`status` of 500 workers with 5,000 tasks",
            milliseconds(status) / 1000.0,
            "s",
            Bound::Most(3.0),
        ),
        goal("its peak memory", status.megabytes, "MB", Bound::Most(80.0)),
        goal(
            "of the account's burst of reads it takes",
            status.tally.drained * 100.0,
            "%",
            Bound::Most(50.0),
        ),
    ]
}

/// The most memory over all ticks of so many workers, in MB.
fn peak(rows: &[Row], function: &Function, workers: usize) -> f64 {
    let rows = rows.iter().filter(|row| (&row.function, row.case.workers) == (function, workers));
    rows.flat_map(|row| &row.ticks).map(|tick| tick.megabytes).fold(f64::NAN, f64::max)
}

/// The median CPU time from the start to the first busy tick's answer, in seconds.
fn cpu(colds: &[Cold], function: &Function) -> f64 {
    let cold = colds.iter().find(|cold| cold.function == *function && cold.busy);
    let mut cpu: Vec<_> = cold.iter().flat_map(|cold| &cold.whole).map(|b| b.cpu).collect();
    cpu.sort();
    cpu.get(cpu.len() / 2).map_or(f64::NAN, std::time::Duration::as_secs_f64)
}

/// The median of a line of divan's table, in milliseconds.
fn figure(path: Option<&Path>, line: &str) -> Result<f64, Error> {
    let Some(path) = path else { return Ok(f64::NAN) };
    let text = fs::read_to_string(path)?;
    let line = text.lines().find(|text| text.contains(line)).ok_or("no such decision")?;
    // From the right: a tree of several branches has more bars on the left.
    let median = line.rsplit('│').nth(3).unwrap_or_default().trim().to_owned();
    let (number, unit) = median.split_once(' ').ok_or("the decision has no median")?;
    let scale = match unit {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        _ => 1000.0,
    };
    Ok(number.parse::<f64>()? * scale)
}

/// The percentage in the last column of a line of the table of launches.
fn efficiency(arguments: &Arguments, line: &str) -> Result<f64, Error> {
    let Some(path) = &arguments.launch else { return Ok(f64::NAN) };
    let text = fs::read_to_string(path)?;
    let line = text.lines().find(|text| text.starts_with(line)).ok_or("no such launch")?;
    let percent = line.trim_end_matches(" % |").rsplit('|').next().unwrap_or_default();
    Ok(percent.trim().parse()?)
}

/// A table that another command made.
fn lines_with_bars(title: &str, path: Option<&Path>) -> Result<String, Error> {
    let Some(path) = path else { return Ok(String::new()) };
    let text = fs::read_to_string(path)?;
    let lines: Vec<_> = text.lines().filter(|l| l.contains('│') || l.starts_with('|')).collect();
    let lines = lines.join("\n");
    // divan's is no Markdown.
    let lines = if lines.contains('│') { format!("```text\n{lines}\n```") } else { lines };
    Ok(format!("\n{title}\n\n{lines}\n"))
}

/// The package as it is deployed, in MB.
fn package(arguments: &Arguments) -> Result<f64, Error> {
    let script = "import io, sys, zipfile\n\
        file = io.BytesIO()\n\
        with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as package:\n\
        \x20   package.write(sys.argv[1], 'bootstrap')\n\
        \x20   package.write(sys.argv[2], 'workers.yaml')\n\
        print(file.tell())";
    let workers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workers.yaml");
    let mut command = Command::new(&arguments.python);
    let bytes = said(command.args(["-c", script]).arg(&arguments.binary).arg(workers))?;
    Ok(bytes.parse::<f64>()? / 1e6)
}

fn megabytes(path: &Path) -> Result<f64, Error> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}

fn circumstances(arguments: &Arguments) -> Result<Circumstances, Error> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1));
    let cores = std::thread::available_parallelism()?;
    let system = said(Command::new("uname").args(["-sm"]))?;
    let versions =
        "import sys, boto3; print('Python', sys.version.split()[0] + ', boto3', boto3.__version__)";
    let git = ["-C", root, "describe", "--always", "--dirty", "--exclude", "*"];
    Ok(Circumstances {
        command: if arguments.quick { "make bench QUICK=1" } else { "make bench" }.to_owned(),
        date: said(Command::new("date").args(["-u", "+%F %H:%M UTC"]))?,
        commit: said(Command::new("git").args(git))?,
        machine: format!("{cores} cores, {}, {system}", cpu.unwrap_or("CPU unknown")),
        meter: meter(),
        python: said(Command::new(&arguments.python).args(["-c", versions]))?,
    })
}

fn said(command: &mut Command) -> Result<String, Error> {
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?} failed: {said}").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Puts the tables in place of the last ones.
fn write_page(path: &Path, tables: &str) -> Result<(), Error> {
    let page = fs::read_to_string(path)?;
    let (before, rest) = page.split_once(MARKS.0).ok_or("the page has no mark")?;
    let (_, after) = rest.split_once(MARKS.1).ok_or("the page has no second mark")?;
    fs::write(path, format!("{before}{}\n{tables}\n{}{after}", MARKS.0, MARKS.1))?;
    Ok(())
}
