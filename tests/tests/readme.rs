//! Every command of the README, run in its order in one shell.

use std::path::Path;
use std::process::{Command, Stdio};

use tests::HostState;

/// The commands of ```console blocks (lines that begin with `# `), each with whether output is shown below it.
fn commands(markdown: &str) -> Vec<(String, bool)> {
    let mut commands: Vec<(String, bool)> = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        match (inside, line.strip_prefix("# ")) {
            (_, _) if line.starts_with("```") => inside = line == "```console",
            (true, Some(command)) => commands.push((command.to_owned(), false)),
            (true, None) => {
                if let Some((_, shown)) = commands.last_mut() {
                    *shown = true;
                }
            }
            (false, _) => {}
        }
    }
    commands
}

/// A script that stops at the first command that fails, or that prints nothing where the README shows something.
fn script(commands: &[(String, bool)]) -> String {
    let mut script = String::from("set -eu\n");
    for (command, shown) in commands {
        script.push_str(&format!("echo {} >&2\n", shell_words::quote(&format!("README: {command}"))));
        // A group, not a subshell: `export` has to last.
        script.push_str(&format!("{{ {command}\n}} >\"$OUTPUT\" 2>&1 || {{ cat \"$OUTPUT\" >&2; exit 1; }}\n"));
        if *shown {
            script.push_str("[ -s \"$OUTPUT\" ] || { echo 'it printed nothing' >&2; exit 1; }\n");
        }
    }
    script
}

#[test]
fn every_command_of_the_readme_works() {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let readme = std::fs::read_to_string(workspace.join("README.md")).expect("a README");
    let commands = commands(&readme);
    assert!(commands.len() >= 10, "{commands:?}");
    tests::node::image();
    let host = HostState::capture(&[]);
    let output = tempfile::NamedTempFile::new().expect("a file");
    let run = |script: &str| {
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(script).current_dir(workspace).env("OUTPUT", output.path());
        // Not of the make that runs this test.
        for variable in ["MAKEFLAGS", "MAKELEVEL"] {
            bash.env_remove(variable);
        }
        // Beside a cluster that the user may have, and beside its name.
        bash.env("KUBEADM_SYSTEMD_CLUSTER", "readme");
        bash.stdin(Stdio::null()).output().expect("bash runs")
    };
    let result = run(&script(&commands));
    let down = run("make down; for file in image nodes inventory.yml; do rm -f $file; done; \
        KUBEADM_SYSTEMD_CLUSTER=demo ./kubeadm-systemd down");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    host.wait_unchanged();
}

#[test]
fn commands_are_taken_from_console_blocks_alone() {
    let markdown = "# Title\n```console\n# a\nout\n# b\n```\n```sh\n# not\n```\n";
    assert_eq!(commands(markdown), [("a".to_owned(), true), ("b".to_owned(), false)]);
}
