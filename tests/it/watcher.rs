//! The watcher's script, run by Debian's own busybox against a fake task metadata endpoint.
//!
//! The endpoint gives scripted answers and a test counts the questions, so that nothing here
//! depends on timing: a script that ends too early leaves answers unused, one that hangs meets the
//! deadline. `POLL` is 0 wherever the passing of time is not the subject.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use decision::variant::watcher_script;
use serde_json::{Value, json};

/// All that the script may call; `kill` is ours.
const APPLETS: [&str; 6] = ["sh", "awk", "sleep", "timeout", "wget", "kill"];

/// Longer than any script below takes, also on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

#[test]
fn it_ends_at_the_first_answer_that_lists_all_workers_as_stopped() {
    watch("worker worker-2")
        .poll(3600)
        .ends_after([listing(&[container("worker", "STOPPED"), container("worker-2", "STOPPED")])]);
}

#[test]
fn it_waits_while_a_worker_runs() {
    watch("worker worker-2").ends_after([
        listing(&[container("worker", "RUNNING"), container("worker-2", "RUNNING")]),
        listing(&[container("worker", "STOPPED"), container("worker-2", "RUNNING")]),
        listing(&[container("worker", "RUNNING"), container("worker-2", "STOPPED")]),
        listing(&[container("worker", "STOPPED"), container("worker-2", "STOPPED")]),
    ]);
}

#[test]
fn every_status_but_stopped_is_a_worker_to_wait_for() {
    let others = ["NONE", "PULLED", "CREATED", "RESOURCES_PROVISIONED", "stopped", ""]
        .map(|status| listing(&[container("worker", status)]));
    let odd = [json!(null), json!(3), json!({"a": "STOPPED"}), json!(["STOPPED"])]
        .map(|status| listing(&[with(container("worker", ""), "KnownStatus", status)]));
    let without = [listing(&[container("sidecar", "STOPPED"), json!({"Name": "worker"})])];
    let stopped = [listing(&[container("worker", "STOPPED")])];
    watch("worker").ends_after(others.into_iter().chain(odd).chain(without).chain(stopped));
}

/// With `GRACE` 0 a first absence would end the script, so that none of these counts as one.
#[test]
fn a_failed_fetch_is_never_an_absence() {
    let whole = || task(&[container("worker", "STOPPED")]).to_string();
    watch("worker").grace(0).ends_after([
        Answer::Status("500 Internal Server Error", whole()),
        Answer::Status("404 Not Found", "\"V4 task metadata handler: no such task\"".into()),
        Answer::Status("200 OK", String::new()),
        Answer::Closed,
        Answer::Garbage(b"\x16\x03\x01\x02\x00\x01\x00"),
        Answer::Status("200 OK", "<html><title>\"Sorry\"</title></html>".into()),
        Answer::Status("200 OK", "null".into()),
        Answer::Status("200 OK", "{}".into()),
        Answer::Status("200 OK", r#"{"message": "rate exceeded"}"#.into()),
        Answer::Status("200 OK", r#"{"Containers": []}"#.into()),
        Answer::Status("200 OK", r#"{"Containers": null}"#.into()),
        Answer::Status("200 OK", format!("[{}]", whole())),
        Answer::Status("200 OK", whole() + &whole()),
        Answer::Status("200 OK", format!("{}}}", whole())),
        Answer::Status("200 OK", whole().replace("]}]", "}}]")), // a bracket closed by a brace
        Answer::Short(whole()),
        Answer::ShortChunk(whole()),
        Answer::Status("200 OK", whole()),
    ]);
}

#[test]
fn a_listing_cut_at_any_byte_says_nothing() {
    let whole = r#"{"Containers": [{"Name": "worker", "KnownStatus": "STOPPED",
        "Labels": {"a": "\\\"{"}, "Limits": {"CPU": 2}}], "LaunchType": "EC2"}"#;
    let answers = (0..=whole.len()).map(|end| Answer::Status("200 OK", whole[..end].into()));
    watch("worker").grace(0).ends_after(answers);
}

#[test]
fn an_endpoint_that_is_not_there_yet_is_asked_again() {
    // An address of our own, for nobody else to take the port while nothing listens there.
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);

    let mut run = watch("worker").poll(1).grace(0).start(Some(address));
    let complaint = run.errors.recv_timeout(DEADLINE).expect("wget says that it cannot connect");
    assert!(complaint.contains("refused"), "{complaint}");

    let listener = TcpListener::bind(address).unwrap();
    let asked = serve(listener, vec![listing(&[container("worker", "STOPPED")])]);
    run.expect_success();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_never_comes_is_given_up() {
    watch("worker")
        .grace(0)
        .ends_after([Answer::Silence, listing(&[container("worker", "STOPPED")])]);
}

#[test]
fn a_worker_that_never_appears_is_waited_for_until_the_grace_is_over() {
    let absent = || listing(&[container("worker", "STOPPED")]);
    watch("worker worker-2").poll(1).grace(2).ends_after([absent(), absent(), absent()]);
}

#[test]
fn a_worker_that_runs_is_waited_for_though_another_never_appears() {
    watch("worker worker-2").grace(0).ends_after([
        listing(&[container("worker", "RUNNING")]),
        listing(&[container("worker", "RUNNING")]),
        listing(&[container("worker", "STOPPED")]),
    ]);
}

#[test]
fn a_worker_that_appears_late_ends_the_absence() {
    let (absent, present) = (|| listing(&[]), || listing(&[container("worker", "RUNNING")]));
    watch("worker").poll(1).grace(1).ends_after([absent(), present(), absent(), absent()]);
}

#[test]
fn a_failed_fetch_does_not_use_up_the_grace() {
    let (absent, failed) = (|| listing(&[]), || Answer::Status("503 Busy", String::new()));
    watch("worker").poll(1).grace(2).ends_after([absent(), failed(), absent(), absent()]);
}

#[test]
fn other_containers_do_not_matter() {
    watch("worker-1").grace(0).ends_after([
        listing(&[container("worker-1", "RUNNING"), container("log-router", "STOPPED")]),
        // Neither the sidecar nor a worker's name that only begins like ours.
        listing(&[
            container("worker-1", "STOPPED"),
            container("worker-10", "RUNNING"),
            container("log-router", "RUNNING"),
        ]),
    ]);
}

#[test]
fn labels_that_look_like_a_container_fool_nobody() {
    let labels = json!({
        "Name": "worker-2",
        "KnownStatus": "STOPPED",
        "Containers": r#"[{"Name":"worker","KnownStatus":"STOPPED"}]"#,
        "com.example.json": r#"{"Name": "worker", "KnownStatus": "STOPPED"}, {"#,
        "quotes": r#"\"\\" }]} \\\\" { [ \"#,
        "unicode": "\u{e9}\u{1f600}\t\n\u{7f}",
        "{[}": "]}{\"",
    });
    let running = || with(container("worker", "RUNNING"), "Labels", labels.clone());
    let stopped = || with(container("worker", "STOPPED"), "Labels", labels.clone());
    watch("worker").ends_after([
        listing(&[running(), container("worker-2", "RUNNING")]),
        listing(&[stopped(), container("worker-2", "RUNNING")]),
    ]);
    // The label's name is no container: worker-2 is not listed, and not ended.
    watch("worker worker-2")
        .poll(1)
        .grace(1)
        .ends_after([listing(&[stopped()]), listing(&[stopped()])]);
}

/// "Additional metadata may be added to the version 4 output", says its documentation.
#[test]
fn metadata_of_another_kind_fools_nobody() {
    let ended = json!({"Name": "worker", "KnownStatus": "STOPPED"});
    let nested = json!({"Containers": [ended], "Previous": [[ended]], "State": ended});
    let beside = |mut task: Value| {
        task["Daemons"] = json!([ended]);
        task["Parent"] = nested.clone();
        Answer::Status("200 OK", task.to_string())
    };
    let running = with(container("worker", "RUNNING"), "Volumes", json!([nested, ended]));
    watch("worker").ends_after([
        beside(task(&[running])),
        beside(task(&[])), // not listed, only named elsewhere
        beside(task(&[container("worker", "STOPPED")])),
    ]);
}

#[test]
fn neither_the_order_of_keys_nor_white_space_matters() {
    let spaced = |status: &str| {
        let text = r#" { "Containers" : [ { "KnownStatus" : "*" , "Name" : "worker" } ] } "#;
        Answer::Status("200 OK", text.replace('*', status).replace(' ', "\r\n\t "))
    };
    let compact = |status: &str| {
        let text = r#"{"Containers":[{"Name":"worker","KnownStatus":"*"}]}"#;
        Answer::Status("200 OK", text.replace('*', status))
    };
    watch("worker").ends_after([spaced("RUNNING"), compact("RUNNING"), spaced("STOPPED")]);
    watch("worker").ends_after([compact("RUNNING"), compact("STOPPED")]);
}

#[test]
fn ten_containers_come_in_chunks() {
    let names: Vec<String> = (1..=9).map(|n| format!("worker-{n}")).collect();
    let document = |last: &str| {
        let status = |name: &String| if name == "worker-9" { last } else { "STOPPED" };
        let containers: Vec<Value> =
            names.iter().map(|name| container(name, status(name))).collect();
        let text = serde_json::to_string_pretty(&task(&containers)).unwrap();
        assert!(text.len() > 20_000, "as large as a real one, but it has {} bytes", text.len());
        Answer::Chunked(text)
    };
    watch(&names.join(" ")).ends_after([document("RUNNING"), document("STOPPED")]);
}

/// It would only wait for ever, and the task with it.
#[test]
fn a_watcher_that_cannot_hear_gives_up_with_a_code_of_its_own() {
    let nobody = SocketAddr::from(([127, 0, 0, 2], 9));
    for tool in ["awk", "timeout", "wget"] {
        let watch = Watch { without: Some(tool), ..watch("worker") };
        let why = watch.start(Some(nobody)).expect_given_up();
        assert!(why.contains(&format!("the image has no {tool}")), "{why}");
    }
    let why = watch("worker").start(None).expect_given_up();
    assert!(why.contains("ECS_CONTAINER_METADATA_URI_V4 is not set"), "{why}");
    let deaf = Watch { deaf: 1, ..watch("worker").poll(1) };
    let why = deaf.start(Some(nobody)).expect_given_up();
    assert!(why.contains("no answer from http://127.0.0.2:9/"), "{why}");
}

/// Some answers that fail are not the end.
#[test]
fn an_answer_begins_the_patience_anew() {
    let busy = || Answer::Status("503 Busy", String::new());
    let runs = || listing(&[container("worker", "RUNNING")]);
    let watch = Watch { deaf: 2, ..watch("worker").poll(1) };
    watch.ends_after([
        busy(),
        busy(),
        runs(),
        busy(),
        busy(),
        listing(&[container("worker", "STOPPED")]),
    ]);
}

/// A task definition holds 64 KiB in all.
#[test]
fn the_script_is_small_enough_to_travel_in_a_task_definition() {
    assert!(watcher_script().len() < 3072, "{} bytes", watcher_script().len());
}

// -- the task, as the endpoint describes it --

/// Source: Amazon ECS Developer Guide, "Amazon ECS task metadata v4 examples".
fn task(workers: &[Value]) -> Value {
    let mut containers = vec![
        with(container("~internal~ecs~pause", "RESOURCES_PROVISIONED"), "Type", json!("CNI_PAUSE")),
        container("worker-watch", "RUNNING"),
    ];
    containers.extend_from_slice(workers);
    json!({
        "Cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/jobs",
        "TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/jobs/158d1c8083dd49d6b527399fd6414f5c",
        "Family": "thumbnail--x2",
        "Revision": "26",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "STOPPED",
        "Limits": {"CPU": 0.25, "Memory": 512},
        "PullStartedAt": "2020-10-02T00:43:06.202617438Z",
        "PullStoppedAt": "2020-10-02T00:43:06.31288465Z",
        "AvailabilityZone": "us-west-2d",
        "VPCID": "vpc-1234567890abcdef0",
        "Containers": containers,
        "LaunchType": "FARGATE",
        "ClockDrift": {
            "ClockErrorBound": 0.446_931,
            "ReferenceTimestamp": "2023-07-21T16:09:17Z",
            "ClockSynchronizationStatus": "SYNCHRONIZED"
        },
        "EphemeralStorageMetrics": {"Utilized": 261, "Reserved": 20496}
    })
}

fn container(name: &str, status: &str) -> Value {
    json!({
        "DockerId": "598cba581fe3f939459eaba1e071d5c93bb2c49b7d1ba7db6bb19deeb70d8e38",
        "Name": name,
        "DockerName": format!("ecs-thumbnail--x2-26-{name}-e292d586b6f9dade4a00"),
        "Image": "111122223333.dkr.ecr.us-west-2.amazonaws.com/thumbnail:latest",
        "ImageID": "sha256:25f3695bedfb454a50f12d127839a68ad3caf91e451c1da073db34c542c4d2cb",
        "Ports": [{"ContainerPort": 80, "Protocol": "tcp"}],
        "Labels": {
            "com.amazonaws.ecs.cluster": "arn:aws:ecs:us-west-2:111122223333:cluster/jobs",
            "com.amazonaws.ecs.container-name": name,
            "com.amazonaws.ecs.task-arn":
                "arn:aws:ecs:us-west-2:111122223333:task/jobs/158d1c8083dd49d6b527399fd6414f5c",
            "com.amazonaws.ecs.task-definition-family": "thumbnail--x2",
            "com.amazonaws.ecs.task-definition-version": "26"
        },
        "DesiredStatus": "RUNNING",
        "KnownStatus": status,
        "ExitCode": 0,
        "Limits": {"CPU": 10, "Memory": 128},
        "CreatedAt": "2020-10-02T00:43:06.324590752Z",
        "StartedAt": "2020-10-02T00:43:06.767283085Z",
        "Type": "NORMAL",
        "Health": {"status": "HEALTHY", "statusSince": "2020-10-02T00:44:06Z", "output": "{\"ok\": [1]}"},
        "Volumes": [{"DockerName": "scratch", "Source": "/var/lib/scratch", "Destination": "/scratch"}],
        "LogDriver": "awslogs",
        "LogOptions": {
            "awslogs-create-group": "true",
            "awslogs-group": "/ecs/thumbnail",
            "awslogs-region": "us-west-2",
            "awslogs-stream": format!("ecs/{name}/158d1c8083dd49d6b527399fd6414f5c")
        },
        "ContainerARN": "arn:aws:ecs:us-west-2:111122223333:container/05966557-f16c-49cb-9352-24b3a0dcd0e1",
        "Networks": [{
            "NetworkMode": "awsvpc",
            "IPv4Addresses": ["10.0.2.106"],
            "AttachmentIndex": 0,
            "MACAddress": "0e:9e:32:c7:48:85",
            "IPv4SubnetCIDRBlock": "10.0.2.0/24",
            "DomainNameServers": ["10.0.0.2"],
            "PrivateDNSName": "ip-10-0-2-106.us-west-2.compute.internal",
            "SubnetGatewayIpv4Address": "10.0.2.1/24"
        }],
        "Snapshotter": "overlayfs"
    })
}

fn with(mut container: Value, key: &str, value: Value) -> Value {
    container[key] = value;
    container
}

fn listing(workers: &[Value]) -> Answer {
    Answer::Status("200 OK", task(workers).to_string())
}

// -- the endpoint --

/// What the endpoint does with one request.
enum Answer {
    /// A status line and a whole body.
    Status(&'static str, String),
    /// 200, the body in chunks, as Go's server sends what is longer than its buffer.
    Chunked(String),
    /// 200, but the body ends halfway through the announced length.
    Short(String),
    /// 200, but the last chunks never come.
    ShortChunk(String),
    /// Bytes that are no HTTP.
    Garbage(&'static [u8]),
    /// The connection is closed without a word.
    Closed,
    /// The connection stays open without a word.
    Silence,
}

/// Gives the answers, one a request; then nobody listens any more. The count of requests answered.
fn serve(listener: TcpListener, answers: Vec<Answer>) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        let mut silent = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            expect_request(&stream);
            count.fetch_add(1, Ordering::SeqCst);
            // A client that hangs up early is the script's business, and seen by the test.
            let _ = reply(&mut stream, &answer);
            if matches!(answer, Answer::Silence) {
                silent.push(stream);
            }
        }
        drop(listener);
        thread::sleep(DEADLINE); // holds the silent ones open
    });
    asked
}

fn expect_request(stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(head[0].starts_with("GET /v4/598cba581fe3/task HTTP/1."), "{head:?}");
}

fn reply(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    const HEAD: &str = "Content-Type: application/json\r\nConnection: close\r\n";
    const CHUNKS: &str = "Transfer-Encoding: chunked\r\n";
    match answer {
        Answer::Status(status, body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\n{HEAD}Content-Length: {length}\r\n\r\n{body}")
        }
        Answer::Short(body) => {
            let (length, half) = (body.len(), &body[..body.len() / 2]);
            write!(stream, "HTTP/1.1 200 OK\r\n{HEAD}Content-Length: {length}\r\n\r\n{half}")
        }
        Answer::Chunked(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\n{HEAD}{CHUNKS}\r\n")?;
            for chunk in body.as_bytes().chunks(1021) {
                write!(stream, "{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap())?;
            }
            write!(stream, "0\r\n\r\n")
        }
        Answer::ShortChunk(body) => {
            let half = &body[..body.len() / 2];
            write!(stream, "HTTP/1.1 200 OK\r\n{HEAD}{CHUNKS}\r\n{:x}\r\n{half}\r\n", half.len())
        }
        Answer::Garbage(bytes) => stream.write_all(bytes),
        Answer::Closed | Answer::Silence => Ok(()),
    }
}

// -- the script --

/// How the script is to run: `watch("a b").grace(0)`.
struct Watch {
    workers: String,
    poll: u32,
    grace: u32,
    deaf: u32,
    /// A tool that the image does not have.
    without: Option<&'static str>,
}

fn watch(workers: &str) -> Watch {
    Watch { workers: workers.into(), poll: 0, grace: 900, deaf: 3600, without: None }
}

impl Watch {
    fn poll(self, seconds: u32) -> Self {
        Self { poll: seconds, ..self }
    }

    fn grace(self, seconds: u32) -> Self {
        Self { grace: seconds, ..self }
    }

    /// Runs the script and expects that it ends well at the last of these answers, and not before.
    fn ends_after(self, answers: impl IntoIterator<Item = Answer>) {
        let answers: Vec<Answer> = answers.into_iter().collect();
        let expected = answers.len();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = serve(listener, answers);
        self.start(Some(address)).expect_success();
        assert_eq!(asked.load(Ordering::SeqCst), expected, "it ended before the last answer");
    }

    fn start(&self, address: Option<SocketAddr>) -> Run {
        let applets = Applets::link();
        if let Some(tool) = self.without {
            fs::remove_file(applets.path(tool)).unwrap();
        }
        let uri = address.map(|address| format!("http://{address}/v4/598cba581fe3"));
        let mut child = Command::new(applets.path("sh"))
            .args(["-c", watcher_script()])
            .env_clear()
            .env("PATH", &applets.0)
            .env("WORKERS", &self.workers)
            .env("POLL", self.poll.to_string())
            .env("GRACE", self.grace.to_string())
            .env("DEAF", self.deaf.to_string())
            .envs(uri.map(|uri| ("ECS_CONTAINER_METADATA_URI_V4", uri)))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let errors = lines_of(child.stderr.take().unwrap());
        Run { child, errors, applets }
    }
}

/// A running script; dropping it kills it and all that it started.
struct Run {
    child: Child,
    errors: Receiver<String>,
    applets: Applets,
}

impl Run {
    fn expect_success(&mut self) {
        let status = self.wait();
        let errors = || self.errors.try_iter().collect::<Vec<_>>().join("\n");
        match status {
            Some(status) => assert_eq!(status.code(), Some(0), "it failed: {}", errors()),
            None => panic!("it still runs after {DEADLINE:?}: {}", errors()),
        }
    }

    /// What it said.
    fn expect_given_up(&mut self) -> String {
        let status = self.wait().expect("it ends");
        assert_eq!(status.code(), Some(69));
        self.errors.iter().collect::<Vec<_>>().join("\n")
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        const STEP: Duration = Duration::from_millis(5);
        for _ in 0..DEADLINE.as_millis() / STEP.as_millis() {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            thread::sleep(STEP);
        }
        None
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let kill = self.applets.path("kill");
        let _ = Command::new(kill).args(["-KILL", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// A folder in which every command is busybox, and the only one on the script's `PATH`.
struct Applets(PathBuf);

impl Applets {
    fn link() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("watcher-{}-{number}", std::process::id());
        let applets = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let busybox = busybox();
        // A folder that is left over from a killed run of the same process id.
        let _ = fs::remove_dir_all(&applets.0);
        fs::create_dir_all(&applets.0).unwrap();
        for applet in APPLETS {
            symlink(&busybox, applets.path(applet)).unwrap();
        }
        applets
    }

    fn path(&self, applet: &str) -> PathBuf {
        self.0.join(applet)
    }
}

impl Drop for Applets {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer may choose the busybox to test with")]
fn busybox() -> PathBuf {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/busybox/bin/busybox");
    let path = std::env::var_os("BUSYBOX").map_or_else(ours, PathBuf::from);
    assert!(path.is_file(), "no busybox at {}: run `make tools`", path.display());
    path
}
