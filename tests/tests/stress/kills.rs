//! SIGKILL at any moment between the start of cnispawn and the life of the container, of it and of its watcher.

use std::fmt;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::Fixture;
use tests::fixture::{Container, processes, succeed, wait_for};

use super::random::{Random, seed};
use super::tell::tell;

/// Hosts, side by side: on two the containers come one after the other, on the third ten at once.
const HOSTS: [Host; 3] = [
    Host { n: 63, rounds: 50, at_once: 1 },
    Host { n: 64, rounds: 50, at_once: 1 },
    Host { n: 65, rounds: 10, at_once: 10 },
];

struct Host {
    n: u8,
    rounds: usize,
    at_once: usize,
}

/// What is done to a container.
#[derive(Debug)]
struct Fate {
    /// When it is killed, after its start.
    after: Duration,
    /// When its watcher is killed, after that.
    watcher_after: Option<Duration>,
}

/// What the killed were.
#[derive(Default)]
struct Victims {
    cnispawn: AtomicUsize,
    nspawn: AtomicUsize,
    watchers: AtomicUsize,
}

#[test]
fn two_hundred_killed_runs_leave_nothing_after_gc() {
    let seed = seed();
    tell(format!("STRESS_SEED={seed} repeats these moments"));
    tests::bin("cnispawn");
    let victims = Victims::default();
    let started = Instant::now();
    thread::scope(|scope| {
        for host in &HOSTS {
            let victims = &victims;
            scope.spawn(move || work(host, seed.wrapping_add(u64::from(host.n)), victims));
        }
    });
    let count: usize = HOSTS.iter().map(|host| host.rounds * host.at_once).sum();
    tell(format!("{count} runs killed in {} s: {victims}; nothing left after gc", started.elapsed().as_secs()));
}

fn work(host: &Host, seed: u64, victims: &Victims) {
    let (fixture, mut random) = (Fixture::new(host.n), Random::new(seed));
    // The first is slower than all others: programs have to be read from the disk.
    span(&fixture, 1);
    let span = span(&fixture, host.at_once);
    for round in 0..host.rounds {
        let fates: Vec<_> = (0..host.at_once).map(|_| fate(&mut random, span)).collect();
        thread::scope(|scope| {
            for (i, fate) in fates.iter().enumerate() {
                let (fixture, name) = (&fixture, format!("r{round}-{i}"));
                scope.spawn(move || suffer(fixture, &name, fate, victims));
            }
        });
        succeed(&mut fixture.cnispawn(&["gc"]));
        // What watchers have undone that were not killed may take a moment longer: their own end, and the kernel's.
        fixture.before.wait_unchanged();
        let at = fixture.dir.path().to_string_lossy().into_owned();
        wait_for(&format!("the end of all processes after {fates:?}"), || processes(&[&at]).is_empty());
    }
}

/// Half as much again as containers take to be up.
fn span(fixture: &Fixture, at_once: usize) -> Duration {
    let started = Instant::now();
    let mut containers: Vec<Container> = thread::scope(|scope| {
        let starts: Vec<_> = (0..at_once).map(|i| scope.spawn(move || fixture.start(&format!("first{i}")))).collect();
        starts.into_iter().map(|start| start.join().expect("it is up")).collect()
    });
    let span = started.elapsed().mul_f64(1.5);
    containers.iter_mut().for_each(Container::kill);
    fixture.assert_clean();
    span
}

/// Any moment of the span, for half of them of its first third, when cnispawn is at work; and for two of five the
/// watcher as well: at the same moment, or when it is at work.
fn fate(random: &mut Random, span: Duration) -> Fate {
    let most = if random.below(2) == 0 { span / 3 } else { span };
    let after = random.within(most);
    let watcher_after = match random.below(5) {
        0 => Some(Duration::ZERO),
        1 => Some(random.within(span)),
        _ => None,
    };
    Fate { after, watcher_after }
}

fn suffer(fixture: &Fixture, name: &str, fate: &Fate, victims: &Victims) {
    // Its own name, and the fixture's path, show in the list of processes.
    let script = format!("exec -a {}/{name} sleep 1000", fixture.dir.path().display());
    let mut run = fixture.run(name, &script);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cnispawn runs");
    thread::sleep(fate.after);
    let counter = if is_nspawn(&child) { &victims.nspawn } else { &victims.cnispawn };
    counter.fetch_add(1, Ordering::Relaxed);
    child.kill().expect("it runs");
    child.wait().expect("reaped");
    if let Some(after) = fate.watcher_after {
        thread::sleep(after);
        let state = fixture.path("state");
        for pid in processes(&["watch", name, "--pidfd", &state.to_string_lossy()]) {
            // It may have ended just now.
            let killed = kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok();
            victims.watchers.fetch_add(usize::from(killed), Ordering::Relaxed);
        }
    }
}

fn is_nspawn(child: &Child) -> bool {
    let comm = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
    comm.trim() == "systemd-nspawn"
}

impl fmt::Display for Victims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [cnispawn, nspawn, watchers] =
            [&self.cnispawn, &self.nspawn, &self.watchers].map(|count| count.load(Ordering::Relaxed));
        write!(f, "{cnispawn} as cnispawn, {nspawn} as systemd-nspawn, {watchers} with their watchers")
    }
}
