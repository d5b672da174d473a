//! Containers' networks, of which cnispawn is killed while it makes, removes or heals them.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tests::Fixture;
use tests::crash::{Ended, kill_at};
use tests::fixture::{Container, in_netns, processes, succeed, wait_for};

use super::steps::each_step;

/// A host with a container that runs all the time, and has to keep its network.
struct Host {
    fixture: Fixture,
    bystander: Container,
    before: tests::HostState,
}

impl Host {
    fn new(n: u8) -> Self {
        let fixture = Fixture::new(n);
        let bystander = fixture.start("bystander");
        let before = fixture.before.recapture();
        Host { fixture, bystander, before }
    }

    fn cnispawn(&self, words: &[&str]) -> Command {
        let mut cnispawn = self.fixture.cnispawn(words);
        cnispawn.stdout(Stdio::null()).stderr(Stdio::null());
        cnispawn
    }

    /// What heals after `how`.
    fn heal(&self, how: &str) {
        succeed(&mut self.fixture.cnispawn(&["gc"]));
        self.is_as_before(how);
        let names: Vec<_> = self.fixture.ls().iter().map(|line| line["name"].clone()).collect();
        assert_eq!(names, ["bystander"], "{how}");
    }

    fn is_as_before(&self, how: &str) {
        wait_for(&format!("the host to be as before: {how}"), || {
            let difference = self.before.difference(&self.before.recapture());
            if !difference.is_empty() {
                eprintln!("{how}: {difference}");
            }
            difference.is_empty()
        });
    }

    fn end(mut self) {
        self.bystander.kill();
        self.fixture.assert_clean();
    }
}

/// Kill the systemd-nspawn that our child has become, and what runs in the container.
fn kill_container(name: &str) {
    for pid in processes(&["systemd-nspawn", &format!("--machine={name}")]) {
        // Fails only when it has ended just now.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(pid), None);
    }
}

#[test]
fn run_is_killed_at_every_step() {
    let host = Host::new(71);
    let attempt = |nth| {
        let mut run = host.fixture.run("victim", "exec sleep 1000");
        let ended = kill_at(run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()), nth);
        if let Ended::Became { .. } = ended {
            kill_container("victim");
        }
        ended
    };
    each_step("cnispawn run", 10, attempt, |how| host.heal(how));
    host.end();
}

/// What a killed systemd-nspawn and a killed watcher leave, taken apart by a gc that is killed in its turn.
#[test]
fn gc_is_killed_at_every_step() {
    let host = Host::new(72);
    let attempt = |nth| {
        let mut victim = host.fixture.start("victim");
        let state = host.fixture.path("state");
        for watcher in processes(&["watch", "victim", "--pidfd", &state.to_string_lossy()]) {
            kill(Pid::from_raw(watcher), Signal::SIGKILL).expect("it runs");
        }
        let payload = in_netns("victim");
        victim.kill();
        for pid in payload {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        kill_at(&mut host.cnispawn(&["gc"]), nth)
    };
    each_step("cnispawn gc", 10, attempt, |how| host.heal(how));
    host.end();
}

/// `add` and `del` on a network namespace of the caller's; DEL is what undoes an ADD that was cut off (CNI specification,
/// section 4, DEL).
#[test]
fn add_and_del_are_killed_at_every_step() {
    let host = Host::new(73);
    let (path, net) = ("/run/netns/victim", host.fixture.net.as_str());
    let netns = |verb: &str| succeed(Command::new("ip").args(["netns", verb, "victim"]));
    let heal = |how: &str| {
        succeed(&mut host.fixture.cnispawn(&["del", net, path]));
        netns("delete");
        host.is_as_before(how);
    };
    let add = |nth| {
        netns("add");
        kill_at(&mut host.cnispawn(&["add", net, path]), nth)
    };
    each_step("cnispawn add", 10, add, heal);
    let del = |nth| {
        netns("add");
        succeed(&mut host.fixture.cnispawn(&["add", net, path]));
        kill_at(&mut host.cnispawn(&["del", net, path]), nth)
    };
    each_step("cnispawn del", 10, del, heal);
    host.end();
}
