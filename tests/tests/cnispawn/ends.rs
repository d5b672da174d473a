//! However a container ends, its network is undone: by the watcher, and where that was killed too, by `gc` or `run`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::fixture::{Container, Fixture, bridge, fail, in_netns, is_alive, processes, succeed, wait_for};

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

/// The watcher of a container of this test; other tests have containers of the same name.
fn watcher(fixture: &Fixture, name: &str) -> i32 {
    let state = fixture.path("state");
    let pids = processes(&["watch", name, "--pidfd", &state.to_string_lossy()]);
    assert_eq!(pids.len(), 1, "one watcher");
    pids[0]
}

fn kill_both(fixture: &Fixture, container: &mut Container) {
    signal(watcher(fixture, &container.name), Signal::SIGKILL);
    container.kill();
}

/// A network whose second plugin takes for ever to ADD, and a container that waits for it.
fn start_slow(fixture: &Fixture, n: u8) -> Child {
    let marker = fixture.path("slow");
    let script = format!("[ $CNI_COMMAND = ADD ] || exit 0; touch {}; sleep 1000 & wait", marker.display());
    fixture.write_plugin("slow", &script);
    fixture.write_conf(&json!([bridge(n, 24, fixture.path("ipam")), {"type": "slow"}]));
    let run = fixture.run("web", "true").stderr(Stdio::null()).spawn().expect("cnispawn runs");
    wait_for("the slow plugin", || marker.exists());
    run
}

fn slow_plugins(fixture: &Fixture) -> Vec<i32> {
    processes(&["/bin/sh", &fixture.path("bin/slow").to_string_lossy()])
}

#[test]
fn a_killed_systemd_nspawn_leaves_nothing_not_even_its_payload() {
    let fixture = Fixture::new(20);
    let mut web = fixture.start("web");
    let payload = web.payload();
    assert!(!payload.is_empty(), "the container's processes are in its network namespace");
    web.kill();
    fixture.assert_clean();
    assert!(payload.iter().all(|&pid| !is_alive(pid)), "{payload:?}");
}

#[test]
fn a_cnispawn_killed_in_the_middle_of_add_leaves_nothing() {
    for (n, end) in [(21, Signal::SIGKILL), (22, Signal::SIGTERM), (23, Signal::SIGINT)] {
        let fixture = Fixture::without_network(n);
        let mut run = start_slow(&fixture, n);
        signal(run.id().cast_signed(), end);
        run.wait().expect("reaped");
        fixture.assert_clean();
        assert_eq!(slow_plugins(&fixture), Vec::<i32>::new());
    }
}

#[test]
fn what_a_killed_watcher_leaves_is_undone_by_gc() {
    let fixture = Fixture::new(24);
    let mut web = fixture.start("web");
    let payload = web.payload();
    kill_both(&fixture, &mut web);
    assert_eq!(fixture.ls()[0]["state"], "dead");
    assert!(!fixture.before.difference(&fixture.before.recapture()).is_empty(), "nobody has cleaned up");

    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
    assert!(payload.iter().all(|&pid| !is_alive(pid)), "{payload:?}");
    succeed(&mut fixture.cnispawn(&["gc"]));
}

#[test]
fn what_a_killed_watcher_leaves_is_undone_by_the_next_run() {
    let fixture = Fixture::new(25);
    let mut web = fixture.start("web");
    kill_both(&fixture, &mut web);
    let address = succeed(&mut fixture.run("web", "ip -brief -4 address show dev eth0"));
    assert!(address.contains("10.201.25.3/24"), "host-local hands out the next: {address}");
    fixture.assert_clean();
}

#[test]
fn gc_ends_a_plugin_that_outlived_cnispawn_and_watcher() {
    let fixture = Fixture::without_network(26);
    let run = start_slow(&fixture, 26);
    let mut web = Container { child: run, name: "web".into() };
    kill_both(&fixture, &mut web);
    assert_eq!(slow_plugins(&fixture).len(), 1, "it goes on");
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
    assert_eq!(slow_plugins(&fixture), Vec::<i32>::new());
}

#[test]
fn gc_waits_for_a_watcher_that_is_at_it() {
    let fixture = Fixture::new(27);
    let mut web = fixture.start("web");
    web.kill();
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}

#[test]
fn rules_go_even_when_a_del_was_cut_short_after_the_interface() {
    let fixture = Fixture::new(28);
    let mut web = fixture.start("web");
    signal(watcher(&fixture, "web"), Signal::SIGKILL);
    succeed(Command::new("ip").args(["-n", "web", "link", "delete", "eth0"]));
    web.kill();
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}

#[test]
fn rules_go_even_when_the_network_namespace_is_gone() {
    let fixture = Fixture::new(29);
    let mut web = fixture.start("web");
    let payload = web.payload();
    kill_both(&fixture, &mut web);
    for pid in payload {
        // systemd-nspawn's end may have ended it.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    wait_for("the payload's end", || in_netns("web").is_empty());
    succeed(Command::new("ip").args(["netns", "delete", "web"]));
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}

#[test]
fn gc_works_without_the_configuration() {
    let fixture = Fixture::new(30);
    let mut web = fixture.start("web");
    kill_both(&fixture, &mut web);
    std::fs::remove_dir_all(fixture.path("net.d")).expect("removed");
    succeed(fixture.cnispawn(&["gc"]).env_remove("CNI_PATH"));
    fixture.before.assert_unchanged();
}

#[test]
fn the_bridge_goes_with_its_last_container_whichever_made_it() {
    let fixture = Fixture::new(31);
    let (mut first, mut second) = (fixture.start("first"), fixture.start("second"));
    first.kill();
    wait_for("the first to be undone", || fixture.ls().len() == 1);
    succeed(Command::new("ip").args(["link", "show", "cs-31"]));
    second.kill();
    fixture.assert_clean();
}

#[test]
fn gc_removes_the_lock_and_half_a_record_of_a_run_killed_before_its_record() {
    let fixture = Fixture::new(33);
    succeed(&mut fixture.run("other", "true"));
    fixture.assert_clean();
    for left in ["run/containers/web.lock", "state/containers/.web.json.a1B2c3"] {
        std::fs::write(fixture.path(left), "").expect("written");
    }
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}

#[test]
fn gc_removes_lock_and_log_of_a_watcher_that_is_killed_but_not_yet_gone() {
    let fixture = Fixture::new(34);
    succeed(&mut fixture.run("other", "true"));
    fixture.assert_clean();
    let lock = fixture.path("run/containers/web.lock");
    std::fs::write(fixture.path("run/containers/web.log"), "").expect("written");
    // Held without a record, as by a watcher that is killed between the record and the lock, until the kernel has
    // closed its files.
    let held = "echo held; exec sleep 2";
    let mut holder = Command::new("flock");
    holder.arg("--no-fork").arg(&lock).args(["sh", "-c", held]).stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("flock runs");
    let mut said = String::new();
    BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).expect("readable");
    assert_eq!(said, "held\n");
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
    holder.wait().expect("reaped");
}

#[test]
fn what_cannot_be_undone_stays_recorded() {
    let fixture = Fixture::without_network(32);
    let broken = "[ $CNI_COMMAND = DEL ] && { echo gone wrong >&2; exit 7; }";
    let works = "sed 's/.*\"prevResult\":\\({.*}\\)}$/\\1/'";
    fixture.write_plugin("stubborn", &format!("{broken}\n{works}"));
    fixture.write_conf(&json!([bridge(32, 24, fixture.path("ipam")), {"type": "stubborn"}]));
    let mut web = fixture.start("web");
    kill_both(&fixture, &mut web);
    let error = fail(&mut fixture.cnispawn(&["gc"]), 1);
    assert!(error.contains("\"stubborn\" failed to DEL with exit status: 7"), "{error}");
    assert!(error.contains("\n  gone wrong\n  to replay: printf %s "), "{error}");
    assert_eq!(fixture.ls()[0]["state"], "dead");

    fixture.write_plugin("stubborn", "true");
    succeed(&mut fixture.cnispawn(&["gc"]));
    fixture.before.assert_unchanged();
}
