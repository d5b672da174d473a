//! What `clusterctl logs` runs on a node to read containers' logs, on files that are written as kubelet and containerd do.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tests::fixture::{is_alive, succeed, wait_for};

const SCRIPT: &str = include_str!("../../clusterctl/assets/pod-logs.py");

/// A directory as /var/log/pods.
struct Pods(tempfile::TempDir);

impl Pods {
    fn new() -> Self {
        Pods(tempfile::tempdir().expect("a directory"))
    }

    /// A file of a container's, and its directory.
    fn path(&self, pod: &str, name: &str) -> PathBuf {
        let dir = self.0.path().join(format!("kube-system_{pod}/etcd"));
        fs::create_dir_all(&dir).expect("made");
        dir.join(name)
    }

    fn reader(&self, changes: &Value) -> Command {
        let mut asked = json!({
            "dir": self.0.path(), "component": "etcd", "follow": false, "previous": false, "timestamps": false,
            "names": false, "tail": null, "since": null,
        });
        for (name, value) in changes.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        let mut python = Command::new("python3");
        python.args(["-c", SCRIPT, &asked.to_string()]);
        python
    }

    fn read(&self, changes: &Value) -> String {
        succeed(&mut self.reader(changes))
    }
}

fn append(path: &Path, lines: &[&str]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    for line in lines {
        writeln!(file, "2026-11-25T10:00:00.123456789Z stderr {line}").expect("written");
    }
}

#[test]
fn the_log_of_the_newest_container_is_read_from_its_oldest_rotated_file_on() {
    let pods = Pods::new();
    append(&pods.path("etcd-a_1", "0.log"), &["F of the first"]);
    let gzip = File::create(pods.path("etcd-a_1", "1.log.20261125-100000.gz")).expect("made");
    let mut gzip = GzEncoder::new(gzip, Compression::fast());
    writeln!(gzip, "2026-11-25T10:00:00Z stdout F compressed").expect("written");
    gzip.finish().expect("finished");
    append(&pods.path("etcd-a_1", "1.log.20261125-100001"), &["F rotated", "P half and"]);
    append(&pods.path("etcd-a_1", "1.log"), &["F  half", "F ", "F last"]);
    // Others' files.
    append(&pods.path("etcd-a_1", "../0.log"), &["F not a container's"]);
    append(&pods.path("etcdx_1", "0.log"), &["F another pod's"]);

    assert_eq!(pods.read(&json!({})), "compressed\nrotated\nhalf and half\n\nlast\n");
    assert_eq!(pods.read(&json!({"tail": 1, "names": true})), "[etcd-a] last\n");
    assert_eq!(pods.read(&json!({"tail": 1, "timestamps": true})), "2026-11-25T10:00:00.123456789Z last\n");
    assert_eq!(pods.read(&json!({"previous": true})), "of the first\n");
    assert_eq!(pods.read(&json!({"since": 60})), "");
    let none = pods.reader(&json!({"component": "kube-proxy"})).status().expect("it runs");
    assert_eq!(none.code(), Some(3));
}

/// A reader that follows; its lines.
fn follow(pods: &Pods) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut reader = pods.reader(&json!({"follow": true, "tail": 1}));
    let mut child = reader.stdout(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines)
}

#[test]
fn a_follower_goes_on_over_rotation_restarts_and_new_pods_and_ends_when_nobody_reads() {
    let pods = Pods::new();
    let (mut child, mut lines) = follow(&pods);
    let mut next = || lines.next().expect("a line").expect("read");
    let log = pods.path("etcd-a_1", "0.log");
    append(&log, &["F one"]);
    assert_eq!(next(), "one");
    // kubelet renames, then asks containerd to open a new file: what is written in between goes to the old one.
    let mut old = OpenOptions::new().append(true).open(&log).expect("opened");
    fs::rename(&log, log.with_extension("log.20261125-100000")).expect("renamed");
    writeln!(old, "2026-11-25T10:00:00Z stdout F late").expect("written");
    append(&log, &["F rotated"]);
    assert_eq!((next(), next()), ("late".to_owned(), "rotated".to_owned()));
    append(&pods.path("etcd-a_1", "1.log"), &["F restarted"]);
    assert_eq!(next(), "restarted");
    append(&pods.path("etcd-a_2", "0.log"), &["F another pod"]);
    assert_eq!(next(), "another pod");
    fs::remove_dir_all(pods.path("etcd-a_1", "..")).expect("removed");
    append(&pods.path("etcd-a_2", "0.log"), &["F more"]);
    assert_eq!(next(), "more");
    drop(lines);
    let pid = child.id().cast_signed();
    wait_for("the end of a reader that nobody reads", || !is_alive(pid));
    assert!(child.wait().expect("reaped").success());
}
