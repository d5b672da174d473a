//! Plugins that hang, flood, lie or cannot be executed: one clear error, and nothing is left of the network or of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use tests::fixture::{Fixture, bridge, fail, processes, succeed};

const RESULT: &str = r#"{"cniVersion": "1.0.0", "ips": []}"#;

/// A network of a plugin that makes something, and then one that does as `script` says on ADD.
fn hostile(n: u8, script: &str) -> Fixture {
    let fixture = Fixture::without_network(n);
    write_hostile(&fixture, script);
    fixture.write_conf(&json!([bridge(n, 24, fixture.path("ipam")), {"type": "hostile"}]));
    fixture
}

fn write_hostile(fixture: &Fixture, script: &str) {
    fixture.write_plugin("hostile", &format!("[ $CNI_COMMAND = ADD ] || exit 0\n{script}"));
}

/// `cnispawn run`, with a second for each plugin.
fn run(fixture: &Fixture) -> Command {
    // A name of its own: other tests' cnispawn takes plugins of a container of the same name for its own orphans.
    let mut run = fixture.run(&fixture.net, "true");
    run.env("CNISPAWN_PLUGIN_TIMEOUT", "1");
    run
}

/// `cnispawn run` fails with one error that says `why`, and leaves nothing.
fn assert_refused(fixture: &Fixture, why: &str) {
    let error = fail(&mut run(fixture), 1);
    assert!(error.contains(why), "{error}");
    // What went wrong, some lines of the plugin's, and a command to paste.
    assert!(error.len() < 16 << 10, "{} bytes: {error}", error.len());
    assert_eq!(survivors(fixture), Vec::<i32>::new(), "{why}");
    fixture.assert_clean();
}

/// Processes with the environment of a plugin of this test.
fn survivors(fixture: &Fixture) -> Vec<i32> {
    let dir = fixture.dir.path().to_string_lossy().into_owned();
    let mut pids = processes(&[]);
    pids.retain(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        environment.contains("CNI_COMMAND=") && environment.contains(&dir)
    });
    pids
}

#[test]
fn a_plugin_that_hangs_is_killed_with_its_children() {
    let fixture = hostile(200, "");
    for script in [
        "sleep 1000",
        "trap '' TERM INT HUP; sleep 1000 & sleep 1000; sleep 1000",
        "setsid sleep 1000 & sleep 1000",
        "(setsid sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 &); sleep 1000",
        "yes | tee /dev/stderr",
    ] {
        write_hostile(&fixture, script);
        assert_refused(&fixture, "\"hostile\" was killed: ADD took longer than 1 s");
    }
}

#[test]
fn a_child_that_has_left_the_group_of_a_hanging_plugin_is_killed_by_add_too() {
    // No container's end looks for processes here.
    let fixture = Fixture::without_network(201);
    write_hostile(&fixture, "(setsid sh -c 'sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 &); sleep 1000");
    fixture.write_conf(&json!([{"type": "hostile"}]));
    succeed(Command::new("ip").args(["netns", "add", "mine"]));
    let error = fail(&mut fixture.cnispawn(&["add", "cs-201", "/run/netns/mine", "--plugin-timeout", "1"]), 1);
    assert!(error.contains("was killed: ADD took longer than 1 s"), "{error}");
    assert_eq!(survivors(&fixture), Vec::<i32>::new());
    succeed(Command::new("ip").args(["netns", "delete", "mine"]));
    fixture.before.assert_unchanged();
}

#[test]
fn a_child_that_keeps_the_output_open_holds_nobody() {
    let fixture = hostile(202, &format!("setsid sleep 1000 & echo '{RESULT}'"));
    // Were the end of the output waited for, it would be the plugin's.
    succeed(run(&fixture).env("CNISPAWN_PLUGIN_TIMEOUT", "30"));
    // It has the environment of the container's plugins, and is ended with the container.
    fixture.assert_clean();
    assert_eq!(survivors(&fixture), Vec::<i32>::new());
}

#[test]
fn a_flood_of_output_takes_no_memory() {
    let fixture = hostile(203, "");
    let peak = fixture.path("peak");
    // cnispawn's own memory at its most, after ADD and all that was made of its output.
    let told = format!("[ $CNI_COMMAND = ADD ] || exec grep VmHWM /proc/$PPID/status > {}", peak.display());
    let not_kept = "printed no result of ADD: it is longer than a mebibyte";
    for (script, why) in [
        ("head -c 100000000 /dev/zero", not_kept),
        ("printf '['; yes 0, | head -c 100000000", not_kept),
        (&format!("echo '{RESULT}'; head -c 100000000 /dev/zero"), not_kept),
        (
            "head -c 100000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; exit 3",
            "failed to ADD with exit status: 3 and no error object\n  xxx",
        ),
    ] {
        fixture.write_plugin("hostile", &format!("{told}\n{script}"));
        let error = fail(run(&fixture).env("CNISPAWN_PLUGIN_TIMEOUT", "20"), 1);
        assert!(error.contains(why), "{script}: {error}");
        assert!(error.len() < 16 << 10, "{} bytes", error.len());
        let line = fs::read_to_string(&peak).expect("DEL was executed");
        let kilobytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
        assert!(kilobytes.is_some_and(|peak| peak < 64 << 10), "{script}: {line}");
        assert_eq!(survivors(&fixture), Vec::<i32>::new());
        fixture.assert_clean();
    }
}

#[test]
fn all_of_a_long_standard_error_is_read_and_its_end_is_told() {
    let fixture = hostile(204, "seq 1000000 >&2; exit 3");
    assert_refused(&fixture, "\n  999999\n  1000000\n  to replay: ");
}

#[test]
fn what_is_no_text_is_told_as_far_as_it_is() {
    let fixture = hostile(205, r"printf '\377\376{}'; printf '\377 oops \200\n' >&2; exit 3");
    assert_refused(&fixture, "exit status: 3 and no error object\n  \u{fffd} oops \u{fffd}\n");
    write_hostile(&fixture, r"printf '\377\376{}'");
    assert_refused(&fixture, "printed no result of ADD: it is not a JSON object");
    write_hostile(&fixture, r#"printf '{"code": 7, "msg": "\377"}'; exit 1"#);
    assert_refused(&fixture, "exit status: 1 and no error object");
}

#[test]
fn a_plugin_that_crashes_is_told_with_its_signal() {
    let fixture = hostile(206, "ulimit -c 0; kill -SEGV $$");
    assert_refused(&fixture, "failed to ADD with signal: 11 (SIGSEGV) and no error object");
    // One that ends by the signal that we would have sent was not killed by us.
    write_hostile(&fixture, "kill -KILL $$");
    assert_refused(&fixture, "failed to ADD with signal: 9 (SIGKILL) and no error object");
}

#[test]
fn what_cannot_be_executed_is_told_before_anything_is_made() {
    let fixture = hostile(207, "");
    let path = fixture.path("bin/hostile");
    let cannot = format!("cannot execute CNI plugin {}: ", path.display());

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    assert_refused(&fixture, &format!("{cannot}Permission denied"));
    for (content, why) in [("", "it is empty"), ("#! /no/such/shell -e\n", "its interpreter /no/such/shell is missing")]
    {
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        assert_refused(&fixture, &format!("{cannot}{why}"));
    }
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("created");
    assert_refused(&fixture, "CNI plugin \"hostile\" not found in ");
}

#[test]
fn what_is_no_result_is_refused() {
    let fixture = hostile(208, "");
    let nested = |levels: usize| {
        format!("printf '{{\"x\": '; printf '%0{levels}d' 0 | tr 0 '['; printf '%0{levels}d' 0 | tr 0 ']'; echo '}}'")
    };
    for (script, why) in [
        (r#"echo '{"cniVersion": "7.0.0"}'"#, "there is no version 7.0.0 of the CNI specification"),
        (r#"echo '{"cniVersion": "latest"}'"#, "\"latest\" is not a version"),
        (&format!("echo '[{RESULT}]'"), "it is not a JSON object"),
        (&format!("echo '{RESULT}{RESULT}'"), "it is not a JSON object"),
        (&nested(100_000), "it is not a JSON object"),
        (&nested(120), "it is nested more than 100 levels deep"),
        (":", "it is not a JSON object"),
    ] {
        write_hostile(&fixture, script);
        assert_refused(&fixture, &format!("CNI plugin \"hostile\" printed no result of ADD: {why}"));
    }
}

#[test]
fn a_plugin_need_not_read_its_configuration() {
    let fixture = Fixture::without_network(209);
    let plugins = json!([bridge(209, 24, fixture.path("ipam")), {"type": "hostile", "x": "x".repeat(1 << 20)}]);
    fixture.write_conf(&plugins);
    for script in ["", "exec 0<&-", "head -c 10 >/dev/null"] {
        write_hostile(&fixture, &format!("{script}\necho '{RESULT}'"));
        succeed(&mut run(&fixture));
        fixture.assert_clean();
    }
}

#[test]
fn a_bad_plugin_in_the_middle_does_not_keep_the_others_from_their_del() {
    let fixture = Fixture::without_network(210);
    let log = fixture.path("log");
    let prints = "sed 's/.*\"prevResult\":\\({.*}\\)}$/\\1/'";
    let good =
        |name: &str| format!("[ $CNI_COMMAND = ADD ] || {{ echo {name} >> {}; exit; }}; {prints}", log.display());
    for name in ["first", "last"] {
        fixture.write_plugin(name, &good(name));
    }
    let mut plugins = vec![bridge(210, 24, fixture.path("ipam"))];
    plugins.extend(["first", "bad", "last"].map(|name| json!({"type": name})));
    fixture.write_conf(&Value::from(plugins));
    for (script, why) in [
        ("kill -SEGV $$", "failed to DEL with signal: 11"),
        ("head -c 100000000 /dev/zero; exit 1", "failed to DEL with exit status: 1 and no error object"),
        ("setsid sleep 1000 & sleep 1000", "was killed: DEL took longer than 1 s"),
    ] {
        fixture.write_plugin("bad", &format!("[ $CNI_COMMAND = ADD ] || {{ ulimit -c 0; {script}; }}; {prints}"));
        succeed(&mut run(&fixture));
        // The watcher has tried, and leaves what it could not delete.
        let error = fail(&mut fixture.cnispawn(&["gc"]), 1);
        assert!(error.contains(why) && error.contains("\"bad\"") && !error.contains("\"first\""), "{error}");
        let executed = fs::read_to_string(&log).expect("DEL was executed");
        assert!(executed.starts_with("last\nfirst\nlast\nfirst\n"), "in reverse order: {executed}");
        assert!(!fixture.path("ipam/cs-210/10.201.210.2").exists(), "the address is free");
        assert_eq!(survivors(&fixture), Vec::<i32>::new());

        fixture.write_plugin("bad", prints);
        succeed(&mut fixture.cnispawn(&["gc"]));
        fixture.assert_clean();
        fs::remove_file(&log).expect("removed");
    }
}
