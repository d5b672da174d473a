//! Man pages and completions: whole, and as their readers want them.

use std::collections::{BTreeMap, BTreeSet};
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
fn the_wrapper_has_the_verbs_and_options_of_its_definition() {
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let help = |script: &str| {
        let output = Command::new(workspace.join(script)).arg("--help").output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (wrapper, setup) = (help("kubeadm-systemd"), help("hack/setup"));
    let mut defined = BTreeSet::new();
    for verb in tests::wrapper::command().get_subcommands() {
        let line = format!("\n  {} ", verb.get_name());
        assert!(wrapper.contains(&line), "{line} is not in the wrapper's help");
        defined.extend(verb.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)));
    }
    // The wrapper hands the options of `setup` on, and shows but some of them itself.
    let both = wrapper + &setup;
    let shown = both.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter_map(|word| word.strip_prefix("--"));
    let mut shown: BTreeSet<_> = shown.map(str::to_owned).collect();
    shown.remove("help");
    assert_eq!(shown, defined);
}
