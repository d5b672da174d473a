//! Man pages, completions and the unit: whole, and as their readers want them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The page of a verb, and the long options that it must have.
fn pages(command: &clap::Command, name: &str, pages: &mut BTreeMap<String, Vec<String>>) {
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let options = options.filter_map(|argument| argument.get_long().map(str::to_owned)).collect();
    pages.insert(name.to_owned(), options);
    // clap adds `help` by itself, and no page for it.
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        self::pages(verb, &format!("{name}-{}", verb.get_name()), pages);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_option_is_in_its_man_page_and_in_every_shells_completions() {
    let share = tempfile::tempdir().expect("a directory");
    tests::generated::write(share.path()).expect("written");
    let mut checked = 0;
    for mut command in tests::generated::command_lines() {
        // Global options reach the verbs.
        command.build();
        let program = command.get_name().to_owned();
        let mut wanted = BTreeMap::new();
        pages(&command, &program, &mut wanted);
        let completions =
            ["bash-completion/completions/NAME", "zsh/site-functions/_NAME", "fish/vendor_completions.d/NAME.fish"]
                .map(|path| read(&share.path().join(path.replace("NAME", &program))));
        for (page, options) in wanted {
            let text = read(&share.path().join(format!("man/man1/{page}.1")));
            for option in options {
                let roff = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(text.contains(&roff), "--{option} is missing from {page}(1)");
                let missing = completions.iter().position(|text| !text.contains(&option));
                assert_eq!(missing, None, "--{option} of {page} is missing from the completions of shell {missing:?}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "only {checked} options were found");
}

#[test]
fn the_man_pages_are_valid_roff() {
    let share = tempfile::tempdir().expect("a directory");
    tests::generated::write(share.path()).expect("written");
    for page in fs::read_dir(share.path().join("man/man1")).expect("pages") {
        let page = page.expect("an entry").path();
        let groff = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&page).output();
        let groff = groff.expect("groff runs; install groff-base");
        let complaints = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && complaints.is_empty(), "{}: {complaints}", page.display());
    }
}

#[test]
fn completions_are_valid_bash() {
    let share = tempfile::tempdir().expect("a directory");
    tests::generated::write(share.path()).expect("written");
    let script = share.path().join("bash-completion/completions/cnispawn");
    let completed = format!(
        "source {}; COMP_WORDS=(cnispawn run --pub); COMP_CWORD=2; _cnispawn cnispawn --pub run; echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &completed]).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--publish", "{output:?}");
}

#[test]
fn an_installation_is_whole_and_its_unit_valid() {
    let destination = tempfile::tempdir().expect("a directory");
    let mut make = Command::new("make");
    make.arg("install").arg(format!("DESTDIR={}", destination.path().display())).arg("PREFIX=/usr");
    make.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for variable in ["MAKEFLAGS", "MAKELEVEL"] {
        make.env_remove(variable);
    }
    let output = make.output().expect("make runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let installed = |path: &str| destination.path().join(path);
    for path in [
        "usr/bin/cnispawn",
        "usr/bin/kubeadm-systemd",
        "usr/share/man/man1/cnispawn-run.1",
        "usr/share/bash-completion/completions/nodectl",
        "usr/share/kubeadm-systemd/ansible/up.yml",
    ] {
        assert!(installed(path).exists(), "{path} is not installed");
    }
    let unit = read(&installed("usr/lib/systemd/system/cnispawn@.service"));
    assert!(unit.contains("ExecStart=/usr/bin/cnispawn run %i "), "{unit}");
    let mut verify = Command::new("systemd-analyze");
    // An instance's name; and the programs where they are installed.
    let instance = installed("usr/lib/systemd/system/cnispawn@web.service");
    fs::write(&instance, unit.replace("/usr/bin/", &format!("{}/", installed("usr/bin").display()))).expect("written");
    let output =
        verify.args(["verify", "--man=no"]).arg(&instance).output().expect("systemd-analyze runs; install systemd");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("cnispawn@")).collect();
    assert!(output.status.success() && ours.is_empty(), "{complaints}");
}
